"""docs/extending.md: every change that it shows is made in a copy of the packages, and used there."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devices.program.regimes import REGIMES

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "extending.md").read_text("utf-8")
CHANGE = re.compile(
    r"^New, `(?P<new>[\w/.-]+)`|^In `(?P<old>[\w/.-]+)`|```(?P<kind>\w+)\n(?P<body>.*?)```", flags=re.S | re.M
)


def section(title: str) -> str:
    """The text under a heading."""
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, flags=re.S | re.M)[1]


def perform(title: str, root: Path) -> None:
    """Make the changes of a section under ``root``: new files as they are, differences where they fit."""
    target = root
    for found in CHANGE.finditer(section(title)):
        if name := found["new"] or found["old"]:
            target = root / name
            assert target.exists() == bool(found["old"]), target
        elif found["kind"] == "diff":
            lines = found["body"].splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            text = target.read_text("utf-8")
            assert text.count(before) == 1, f"{target.name} has {text.count(before)} times:\n{before}"
            target.write_text(text.replace(before, after), "utf-8")
        else:
            assert found["kind"] in ("python", "toml")
            target.write_text(found["body"], "utf-8")


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of the packages with every change in it; with their bytecode, which counts for what stays."""
    root = tmp_path_factory.mktemp("house")
    for package in ("blockwise", "devices"):
        shutil.copytree(ROOT / package, root / package)
    for title in ("A quantizer", "A local head", "A board", "A regime", "A layer"):
        perform(title, root)
    return root


def run(house: Path, *arguments: str) -> str:
    """What Python prints with these arguments in the copy."""
    environment = os.environ | {"PYTHONPATH": str(house), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=house, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


OWN_LAYER = """
import softsign, blockwise
from torch import nn
from torch.nn import functional as F
from devices.errors import InputError
from devices.program.regimes import REGIMES

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.n1, self.c2 = nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3)
        self.act, self.fc = nn.Softsign(), nn.Linear(8, 10)

    def forward(self, x):
        return self.fc(F.softsign(self.c2(self.act(self.n1(self.c1(x))))).mean((2, 3)))

for regime in REGIMES:
    plan = blockwise.plan(Net(), regime=regime, in_shape=(1, 8, 8), blocks="layers", head="gap")
    saved = [t for t in plan.schedule.tensors.values() if t.name == "c1.act.out"]
    print(regime, plan.fits, [(t.shape, t.bits) for t in saved])
rows = blockwise.train(Net(), regimes=("bp", "local"), epochs=1, blocks="layers", head="gap").regimes
print(all(row.test_accuracy > 0.2 for row in rows))
try:
    blockwise.plan(Net(), regime="niti", in_shape=(1, 8, 8), norm="none")
except InputError as error:
    print(error)
"""

TRAINED = """
import io, json, sys
from contextlib import redirect_stdout
from pathlib import Path
import blockwise, pytest
from blockwise.cli import main
from blockwise.report import dumps

def trained(name, **settings):
    how = dict(width=4, epochs=1, blocks="layers", out=Path(name), **settings)
    return {row["regime"]: row for row in json.loads(dumps(blockwise.train("cnn", **how)))["regimes"]}

told = {
    "quantizer": trained("minmax", method="minmax", weight_bits=4, regimes=("bp", "local"), head="gap"),
    "head": trained("head", head="hidden:8", regimes=("local",)),
    "regime": trained("regime", regimes=("bp", "last-block"), head="gap"),
    "exported": main.main(["export", "minmax"]),
    "invariants": pytest.main(["-p", "no:cacheprovider", "-p", "no:xdist", "-k", "minmax and not ptq",
                               "tests/blockwise/quant/test_quantizers.py",
                               "tests/blockwise/quant/test_packing.py"]),
}
with redirect_stdout(io.StringIO()) as layer:
    exec(sys.argv[1])
told["layer"] = layer.getvalue().splitlines()
Path("told.json").write_text(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(house):
    """What a program comes to that trains with each of the changes: one, as PyTorch takes time to load."""
    shutil.copytree(ROOT / "tests", house / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", house)
    run(house, "-c", TRAINED, OWN_LAYER)
    return json.loads((house / "told.json").read_text("utf-8"))


@pytest.mark.slow
def test_a_quantizer_passes_the_invariants_and_is_trained_and_exported(house, told):
    assert (told["invariants"], told["exported"]) == (0, 0)
    assert all(row["test_accuracy"] > 0.2 for row in told["quantizer"].values())
    (file,) = (house / "minmax").glob("*.safetensors")
    assert b"minmax" in file.read_bytes()


@pytest.mark.slow
def test_a_head_is_planned_and_trained(told):
    local = told["head"]["local"]
    names = {tensor["name"] for tensor in local["tensors_at_peak"]}
    assert "conv1.head.classify.hidden.weight" in names
    assert local["test_accuracy"] > 0.2


def test_a_board_is_found_by_name_and_by_path(house):
    code = (
        "import devices; board = devices.load('example');"
        "print(board.name, board.usable_bytes, len(board.runs));"
        "print(devices.load('devices/boards/profiles/example-board.toml') == board)"
    )
    assert run(house, "-c", code).split() == ["example-board", str(184 * 1024), "2", "True"]


@pytest.mark.slow
def test_a_regime_is_planned_and_trained(told):
    bp, last = told["regime"]["bp"], told["regime"]["last-block"]
    assert last["peak_bytes"] < bp["peak_bytes"]
    assert last["test_accuracy"] > 0.15  # behind blocks of random weights
    assert last["by_category"]["packed weights"] > 0
    assert list(last["training"]["block_accuracies"]) == ["conv3"]


@pytest.mark.slow
def test_a_layer_from_outside_is_planned_trained_and_refused_on_integers(told):
    *plans, trained, refused = told["layer"]
    assert {line.split()[0] for line in plans} == {*REGIMES, "last-block"}
    assert all(" True " in line for line in plans)
    assert "bp True [((16, 8, 6, 6), 32)]" in plans  # the output that its derivative is read off
    assert trained == "True"
    assert "softsign" in refused
