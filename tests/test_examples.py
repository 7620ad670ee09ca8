"""The examples run as they stand, and what they print is so."""

import json
import re
import runpy
import sys
from pathlib import Path

import pytest
from tiers import shown
from waves import save, waves

import devices
from blockwise.cli import main as cli

EXAMPLES = Path(__file__).parents[1] / "examples"
LONGEST = 40
"""Lines of a program that is read at one glance."""
WHOLE = {"predict": 60}
"""Lines of those that are read as a reference."""
ARGUMENTS = {"compare_methods": " [FOLDER]", "predict": " FILE.safetensors TEST.npz"}


def run(name: str, capsys, monkeypatch, *arguments: str) -> list[str]:
    """What ``python examples/NAME.py`` prints."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    return capsys.readouterr().out.splitlines()


def test_every_example_is_short_says_what_it_is_for_and_is_tested_here():
    for path in EXAMPLES.glob("*.py"):
        text = path.read_text("utf-8")
        assert len(text.splitlines()) <= WHOLE.get(path.stem, LONGEST)
        assert text.splitlines()[2] == f"    python examples/{path.name}{ARGUMENTS.get(path.stem, '')}"
        assert ("argv" in text) == (path.stem in ARGUMENTS)
        assert f'run("{path.stem}"' in Path(__file__).read_text("utf-8")


@pytest.mark.slow
def test_every_board_is_told_from_the_smallest_and_none_below_one_that_is_too_small(capsys, monkeypatch):
    lines = [line.split(maxsplit=3) for line in run("every_board", capsys, monkeypatch)]
    boards = devices.catalogue()
    assert {name for name, *_ in lines} == set(boards)
    sizes = [int(size) for _, size, *_ in lines]
    assert sizes == sorted(boards[name].usable_bytes // 1024 for name, *_ in lines) == sorted(sizes)
    told = {name: what for name, _, _, what in lines}
    assert told["stm32f103"].startswith("none: ")
    assert told["stm32f746-disco"] == "local-resident"
    assert told["stm32n657"] == "bp"


def test_the_moments_of_a_step_add_up_to_its_peak(capsys, monkeypatch):
    lines = run("which_tensor_when", capsys, monkeypatch)
    peak = int(re.match(r"peak ([\d,]+) bytes", lines[0])[1].replace(",", ""))
    changes = [line.split()[0] for line in lines[lines.index("") :] if re.match(r"\s+[+-]", line)]
    assert sum(int(change.replace(",", "")) for change in changes) == peak
    categories = [line.split()[0] for line in lines[1 : lines.index("")]]
    assert sum(int(size.replace(",", "")) for size in categories) == peak


@pytest.mark.slow
def test_blocks_train_one_by_one_and_cost_less_memory(capsys, monkeypatch):
    lines = run("block_by_block", capsys, monkeypatch)
    found = [re.match(r"(\S+)\s+([\d.]+)% in\s+([\d.]+) KiB", line) for line in lines[1:3]]
    assert [row[1] for row in found] == ["bp", "local-resident"]
    assert all(float(row[2]) > 90 for row in found)
    assert float(found[1][3]) < float(found[0][3])
    blocks = [float(line.split()[-1].rstrip("%")) for line in lines[5:]]
    assert len(blocks) == 3
    assert min(blocks) > 85  # which of them is the best hangs on a few images


@pytest.mark.slow
def test_an_own_module_fits_more_images_under_leaner_regimes(capsys, monkeypatch):
    units, *rows = run("own_module", capsys, monkeypatch)
    assert units == "units: conv1, conv2, classifier"
    images = {row.split()[0]: int(row.split()[2]) for row in rows}
    assert 0 < images["bp"] <= images["bp-best"] <= images["local"]


@pytest.mark.slow
def test_methods_are_compared_and_the_best_is_stored_in_two_bits(capsys, monkeypatch, tmp_path):
    *rows, stored = run("compare_methods", capsys, monkeypatch, str(tmp_path))
    accuracy = {row.split()[0]: float(row.split()[1].rstrip("%")) for row in rows}
    assert set(accuracy) == {"lsq", "dorefa", "twn"}
    assert min(accuracy.values()) > 80
    name, weights, size = re.match(r"(\S+): ([\d,]+) weights in ([\d,]+) bytes, 10 classes", stored).groups()
    assert accuracy[name] == max(accuracy.values())
    weights, size = (int(text.replace(",", "")) for text in (weights, size))
    assert weights / 4 < size < weights  # two bits each, and eight in the first and last layer
    assert (tmp_path / name / "bp.safetensors").exists()


RUNS = {
    "lsq": [
        "--model",
        "resnet20",
        "--width",
        "4",
        "--regimes",
        "bp",
        "local",
        "--head",
        "gap",
        "--blocks",
        "2",
    ],
    "fp32": ["--model", "cnn", "--width", "4", "--method", "fp32", "--regimes", "bp"],
    "integers": ["--model", "plain4", "--width", "8", "--regimes", "niti-local"],
    "signals": ["--model", "cnn1d", "--width", "4", "--regimes", "bp", "--data", "waves.npz"],
    "signals on integers": [
        "--model",
        "cnn1d",
        "--width",
        "4",
        "--norm",
        "none",
        "--regimes",
        "niti-local",
        "--data",
        "waves.npz",
    ],
    "own": ["--model", "net.py:Net", "--regimes", "bp"],
}
NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.conv = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.relu, self.pool, self.head = nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Linear(32, 10)

    def forward(self, x):
        x = self.relu(self.stem(x))
        return self.head(self.pool(self.relu(self.conv(x) + x)).flatten(1))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", shown(RUNS, "lsq", "integers", "signals", "own"))
def test_the_file_alone_predicts_as_well_as_the_run_tested(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "waves.npz", waves(600))
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    training = ["--epochs", "2", "--batch-size", "64", "--quiet", "--out", "run"]
    assert cli.main([*RUNS[name], *training]) in (0, 3)
    (tmp_path / "net.py").unlink()
    rows = json.loads((tmp_path / "run" / "result.json").read_text("utf-8"))["regimes"]
    for row in rows:
        words = ["export", "run", "--regime", row["regime"], "--out", "net.safetensors"]
        assert cli.main([*words, "--test-samples", "test.npz"]) == 0
        capsys.readouterr()
        (told,) = run("predict", capsys, monkeypatch, "net.safetensors", "test.npz")
        accuracy, count = re.match(r"([\d.]+)% of (\d+) images", told).groups()
        one_by_one = row["training"]["test_accuracy_one_by_one"]
        expected = row["test_accuracy"] if one_by_one is None else one_by_one
        assert float(accuracy) == pytest.approx(100 * expected, abs=0.005)
        assert int(count) == (120 if "signals" in name else 359)
        assert (one_by_one is not None) == row["regime"].startswith("niti")
