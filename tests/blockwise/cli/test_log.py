"""Metrics in other programs: stand-ins for their packages are told what the run itself keeps."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from command_runs import TINY, refusal

from blockwise.cli import log
from blockwise.cli import main as cli


class Writer:
    """As TensorBoard's, of which one is made in a run."""

    told: list[tuple[str, float, int]]

    def __init__(self, folder: str) -> None:
        Writer.told, self.folder = [], folder

    def add_text(self, name: str, text: str) -> None:
        assert (name, "    epochs: 2" in text) == ("config", True)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        Writer.told.append((name, value, step))

    def close(self) -> None:
        Writer.told.append((f"closed {self.folder}", 0.0, 0))


class FakeTrackio(ModuleType):
    """Prints as trackio does, and keeps what it is told."""

    def __init__(self) -> None:
        super().__init__("trackio")
        self.told: list[Any] = []

    def init(self, **named: Any) -> None:
        print("* Trackio project initialized")
        self.told.append((named["project"], named["name"], named["config"]["epochs"]))

    def log(self, metrics: dict[str, float], step: int) -> None:
        self.told.append((metrics, step))

    def finish(self) -> None:
        print("* Run finished")
        self.told.append("finished")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> FakeTrackio:
    found = FakeTrackio()
    monkeypatch.setattr(log, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "trackio", found)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    return found


def history(folder: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    (row,) = json.loads(Path(folder, "result.json").read_text("utf-8"))["regimes"]
    return row["training"]["history"], row


@pytest.mark.slow
def test_tensorboard_is_told_every_epoch_and_the_outcome(capsys, installed):
    arguments = [*TINY, "--epochs", "2", "--log", "tensorboard", "--out", "run", "--quiet"]
    assert cli.main(arguments) == 0
    epochs, row = history("run")
    expected = []
    for epoch in epochs:
        expected.append(("bp/loss", epoch["train_loss"], epoch["epoch"]))
        expected.append(("bp/validation accuracy", epoch["validation_accuracy"], epoch["epoch"]))
    expected.append(("bp/peak KiB", row["peak_bytes"] / 1024, 2))
    expected.append(("bp/test accuracy", row["test_accuracy"], 2))
    assert Writer.told == [*expected, (f"closed {Path('run/log')}", 0.0, 0)]


@pytest.mark.slow
def test_what_trackio_prints_is_not_among_the_answer(capsys, installed):
    assert cli.main([*TINY, "--epochs", "2", "--log", "trackio", "--out", "run", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["config"]["epochs"] == 2
    assert "* Trackio project initialized" in err and "bp: epoch 2/2" in err
    epochs, _ = history("run")
    first, second = installed.told[1:3]
    assert installed.told[0] == ("blockwise", "run", 2)
    assert (first[0]["bp/loss"], first[1]) == (epochs[0]["train_loss"], 1)
    assert (second[0]["bp/loss"], second[1]) == (epochs[1]["train_loss"], 2)
    assert installed.told[-1] == "finished"


def test_a_log_that_there_is_not_is_refused_before_any_work(capsys, monkeypatch):
    assert "--log: got 'wandb', wanted one of tensorboard, trackio" in refusal(capsys, "--log", "wandb")
    monkeypatch.setattr(log, "find_spec", lambda _: None)
    line = refusal(capsys, "--log", "trackio")
    assert "got trackio, which is not installed" in line and "pip install '.[trackio]'" in line
