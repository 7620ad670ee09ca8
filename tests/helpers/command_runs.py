"""Runs of the command line that take a moment, and what they say when they are refused."""

from pathlib import Path

import pytest
from command_lines import changed
from PIL import Image

from blockwise.cli import main as cli

ROOT = Path(__file__).parents[2]
TINY = ("--model", "cnn", "--width", "4", "--regimes", "bp")
DRY = (*TINY, "--dry-run")


def image_folder(root: Path, train: str = "ab", test: str = "ab") -> Path:
    for split, classes, count in (("train", train, 20), ("test", test, 2)):
        for name in classes:
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = bytes((number + 1) * i * i % 256 for i in range(64))
                Image.frombytes("L", (8, 8), pixels).save(root / split / name / f"{number}.png")
    return root


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run what must be refused: exit code 2, one line on stderr, nothing on stdout, no folder."""
    before = set(Path().rglob("*"))
    code = cli.main(changed(arguments))
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith("blockwise: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert {path for path in Path().rglob("*") if ".cache" not in path.parts} == {
        path for path in before if ".cache" not in path.parts
    }
    return err
