"""Networks of one's own from the file to the board: planned, trained, exported, and executed on bytes."""

import importlib.util
from pathlib import Path

import pytest
import torch
from integer_steps import IntegerSteps
from one_step import OneStep
from torch import nn
from waves import save, waves

import blockwise
from blockwise.experiment import exported
from blockwise.experiment.export import export
from blockwise.models import files

SHAPE = (2, 24)
needs_onnx = pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="needs the extra onnx")
FLOAT = ("bp", "local", "local-resident")
CODE = """
import torch
from torch import nn
from torch.nn import functional as F


class Residual(nn.Module):
    def __init__(self, in_channels, width=4, num_classes=3):
        super().__init__()
        self.stem, self.norm = nn.Conv1d(in_channels, width, 5, padding=2), nn.BatchNorm1d(width)
        self.a, self.b = (nn.Conv1d(width, width, 3, padding=1) for _ in range(2))
        self.na, self.nb = nn.BatchNorm1d(width), nn.BatchNorm1d(width)
        self.relu, self.fc = nn.ReLU(), nn.Linear(width, num_classes)

    def forward(self, x):
        x = F.max_pool1d(self.relu(self.norm(self.stem(x))), 2)
        x = self.relu(x + self.nb(self.b(self.relu(self.na(self.a(x))))))
        return self.fc(x.mean(-1))


class Concatenated(nn.Module):
    def __init__(self, in_channels, num_classes=3):
        super().__init__()
        self.stem = nn.Conv1d(in_channels, 4, 5, 2, padding=2)
        self.near, self.far = nn.Conv1d(4, 4, 3, padding=1), nn.Conv1d(4, 4, 3, padding=4, dilation=4)
        self.fc = nn.Linear(8, num_classes)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = torch.cat([F.relu(self.near(x)), F.relu(self.far(x))], 1)
        return self.fc(F.adaptive_avg_pool1d(x, 1).flatten(1))


class Plain(nn.Module):
    def __init__(self, in_channels, num_classes=3):
        super().__init__()
        self.a, self.b = nn.Conv1d(in_channels, 4, 5, 2, padding=2), nn.Conv1d(4, 6, 3, padding=1)
        self.fc = nn.Linear(36, num_classes)

    def forward(self, x):
        x = F.max_pool1d(F.relu(self.b(F.relu(self.a(x)))), 2)
        return self.fc(x.view(len(x), -1))
"""


def written(folder: Path, name: str) -> str:
    """A model of the command line: a class in net.py, or a file that was exported from it."""
    code = folder / "net.py"
    code.write_text(CODE)
    if not name.startswith("net."):
        return f"{code}:{name}"
    module, path = files.load(f"{code}:Plain", SHAPE, 3).eval(), folder / name
    if name == "net.pt2":
        torch.export.save(torch.export.export(module, (torch.randn(1, *SHAPE),)), path)
    else:
        torch.onnx.export(module, (torch.randn(1, *SHAPE),), path, dynamo=False)
    return str(path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["Residual", "Concatenated", "net.pt2", pytest.param("net.onnx", marks=needs_onnx)]
)
def test_it_is_planned_trained_exported_and_executed(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, data = written(tmp_path, name), save(tmp_path / "waves.npz", waves())
    plain = name.startswith("net.")
    regimes = (*FLOAT, "niti-local") if plain else FLOAT
    result = blockwise.train(model, data=data, regimes=regimes, epochs=2, out=tmp_path / "run", lr=0.02)
    assert [row.regime for row in result.regimes] == list(regimes)
    for row in result.regimes:
        assert row.peak_bytes > 0 and row.training is not None and len(row.training.history) >= 2
        assert row.test_accuracy is not None and row.training.divergence is None
    for regime in FLOAT:
        again = exported.load(export(tmp_path / "run", regime, tmp_path / f"{regime}.safetensors").path)
        right = again(torch.from_numpy(waves()["x_test"])).argmax(1) == torch.from_numpy(waves()["y_test"])
        (row,) = (row for row in result.regimes if row.regime == regime)
        assert int(right.sum()) / len(right) == row.test_accuracy
    module = files.load(model, SHAPE, 3)
    check_on_bytes(module, plain=plain)


def check_on_bytes(module: nn.Module, *, plain: bool) -> None:
    """A step of each regime by its schedule ends as that of the simulation."""
    for regime in FLOAT:
        step = OneStep(regime, module, method="lsq", in_shape=SHAPE, blocks="2")
        assert step.run() < 1e-5, (regime, step.worst())
        assert step.flips <= 1e-3 * step.codes
    if plain:
        assert IntegerSteps("niti-local", module, in_shape=SHAPE).run(2) == []
