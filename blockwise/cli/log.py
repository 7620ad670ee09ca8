"""Metrics that also go to TensorBoard or trackio, as they come."""

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from blockwise.experiment.result import Result
from blockwise.experiment.settings.output import LOGS
from blockwise.training.options import Watcher
from blockwise.training.outcome import Epoch
from devices.errors import InputError

FOLDER = "log"
"""Of TensorBoard's files, within the run's."""
PROJECT = "blockwise"


class Log(Protocol):
    """Where metrics go."""

    def add(self, metrics: dict[str, float], step: int) -> None:
        """Note ``metrics`` by name at ``step``."""

    def close(self) -> None:
        """All are noted."""


class TensorBoard:
    """Event files in the run's folder: ``tensorboard --logdir RUN``."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self._writer = import_module("torch.utils.tensorboard").SummaryWriter(str(folder / FOLDER))
        self._writer.add_text("config", "\n".join(f"    {key}: {value}" for key, value in config.items()))

    def add(self, metrics: dict[str, float], step: int) -> None:
        """A scalar for each."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


class Trackio:
    """A run of the project ``blockwise``, called as its folder: ``trackio show``."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        with redirect_stdout(sys.stderr):  # it tells where it is; what this program prints is the answer
            self._trackio = import_module("trackio")
            self._trackio.init(project=PROJECT, name=folder.name, config=config)

    def add(self, metrics: dict[str, float], step: int) -> None:
        """All of a step at once."""
        with redirect_stdout(sys.stderr):
            self._trackio.log(metrics, step=step)

    def close(self) -> None:
        """Send what is left."""
        with redirect_stdout(sys.stderr):
            self._trackio.finish()


MAKERS: dict[str, Callable[[Path, dict[str, Any]], Log]] = {"tensorboard": TensorBoard, "trackio": Trackio}


def check_log(name: str | None) -> None:
    """Raise InputError for a log whose package is not installed."""
    if name is not None and find_spec(name) is None:
        raise InputError(
            "--log", got=f"{name}, which is not installed", wanted=f"the package {name}",
            do=f"pip install '.[{name}]', or leave the flag out",
        )  # fmt: skip


def open_log(name: str | None, folder: Path, config: dict[str, Any]) -> Log | None:
    """The log ``name`` of the run in ``folder``; None where none is asked for."""
    return MAKERS[name](folder, config) if name in LOGS else None


class Logged:
    """A watcher that notes every finished epoch, and tells another of all."""

    def __init__(self, log: Log, watcher: Watcher) -> None:
        self._log, self._watcher = log, watcher

    def phase(self, regime: str, block: str, batches: int, epochs: int) -> None:
        """As the other is told."""
        self._watcher.phase(regime, block, batches, epochs)

    def batch(self, done: int) -> None:
        """As the other is told."""
        self._watcher.batch(done)

    def epoch(self, regime: str, epoch: Epoch) -> None:
        """Note its loss and its accuracy, under the regime and the block that is trained."""
        part = "/".join(filter(None, (regime, epoch.block)))
        metrics = {f"{part}/loss": epoch.train_loss}
        if epoch.validation_accuracy is not None:
            metrics[f"{part}/validation accuracy"] = epoch.validation_accuracy
        self._log.add(metrics, epoch.epoch)
        self._watcher.epoch(regime, epoch)


def outcomes(result: Result) -> dict[str, float]:
    """What is known of each regime at the end."""
    found: dict[str, float] = {}
    for regime in result.regimes:
        found[f"{regime.regime}/peak KiB"] = regime.peak_bytes / 1024
        if regime.test_accuracy is not None:
            found[f"{regime.regime}/test accuracy"] = regime.test_accuracy
    return found
