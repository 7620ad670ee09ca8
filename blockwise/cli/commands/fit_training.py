"""``run.py fit --train N``: rows of the front trained, each a run that is resumed or read again."""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from blockwise import report
from blockwise.cli.commands import compare as comparison
from blockwise.cli.executing import Executing
from blockwise.cli.expected import shares
from blockwise.cli.task_table import TaskTable
from blockwise.executors.task import Task, TaskWatcher
from blockwise.experiment import named_files, result_json, run_folder
from blockwise.experiment.compare import compare
from blockwise.experiment.finished import RESULT_FILE
from blockwise.experiment.prepare import prepare
from blockwise.experiment.result import Result
from blockwise.experiment.settings import TrainingSettings
from blockwise.fit.result import FitResult, FrontRow
from blockwise.system.files import make_folder
from blockwise.system.locks import only_writer
from devices.errors import InputError


@dataclass(frozen=True)
class RunWork:
    """A run of its own: what ``command`` asks for, in the folder ``kept``."""

    command: tuple[str, ...]
    kept: str

    def __call__(self, place: Path, watcher: TaskWatcher) -> str:
        """Train to the end and write the run's files; its outcome in a line."""
        out = place / self.kept
        begun = (out / run_folder.CONFIG_FILE).exists()
        where = ["--resume", str(out)] if begun else [*self.command, "--out", str(out)]
        config = comparison.parse([*where, "--quiet"])
        prepared = prepare(config)
        run_folder.prepare(config, prepared)

        def planned(result: Result) -> None:
            (share,) = shares(config, result)
            watcher.expect(share.phases)

        result = compare(prepared, out / run_folder.CHECKPOINTS, watcher, planned)
        report.write_all(report.named(result), out)
        return report.answer(result)


@dataclass(frozen=True)
class ToTrain:
    """A row of the front and the folder of its run, which has the regime and the settings in its name."""

    row: FrontRow
    command: tuple[str, ...]
    folder: Path

    @cached_property
    def name(self) -> str:
        """Of the folder within ``folder``."""
        config = comparison.parse([*self.command, "--quiet"])
        behind = (*named_files.digests(config), *named_files.of_images(config))
        return f"{self.row.confirmed.candidate.regime}-{config.fingerprint(*behind)}"

    @property
    def run(self) -> Path:
        """The folder."""
        return self.folder / self.name

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing to train."""
        return (self.run / RESULT_FILE).exists()

    @property
    def task(self) -> Task:
        """Its training."""
        title = " ".join(self.row.confirmed.candidate.flags)
        return Task(self.name, title, self.name, RunWork(self.command, self.name))

    @property
    def trained(self) -> FrontRow:
        """The row with the accuracy that its finished run has."""
        found = result_json.read(self.run / RESULT_FILE)
        (regime,), images = found["regimes"], found["data"]["test"]
        return replace(self.row, accuracy=regime["test_accuracy"], run=str(self.run), test_images=images)


def trained(result: FitResult, count: int, epochs: int, folder: Path, executing: Executing) -> FitResult:
    """``result`` with the accuracies of ``count`` rows, spread evenly over the front.

    A run stands in ``folder`` under its regime and the fingerprint of its settings and of what files of one's
    own hold: one that is finished is read, one that was interrupted goes on. Commands of rows train as long.
    """
    rows, chosen = list(result.front), evenly(len(result.front), count)
    asked = {number: _to_train(result, rows[number], epochs, folder) for number in chosen}
    left = {one.name: one for one in asked.values() if not one.is_finished}
    _train([one.task for one in left.values()], epochs, folder, executing)
    for number, one in asked.items():
        rows[number] = one.trained
    told = () if epochs == TrainingSettings.epochs else ("--epochs", str(epochs))
    return replace(result, front=tuple(rows), flags=(*result.flags, *told))


def _to_train(result: FitResult, row: FrontRow, epochs: int, folder: Path) -> ToTrain:
    command = (*result.command(row.confirmed.candidate)[1:], "--epochs", str(epochs))
    return ToTrain(row, command, folder)


def _train(tasks: Sequence[Task], epochs: int, folder: Path, executing: Executing) -> None:
    """The answer of the command is the front alone: all else is told on stderr."""
    if not tasks:
        return
    make_folder(folder, "--runs")
    executor, storage = executing.made(), executing.kept_in(folder)
    for task in tasks:
        print(f"blockwise: training {task.title}", file=sys.stderr)
    with (
        only_writer(folder / "front", f"--runs {folder}", "wait for it, or name another folder"),
        storage.only_user("runs"),
        TaskTable(report.make_console(stderr=True), epochs, len(tasks)) as table,
        closing(executor.run(tasks, storage, table)) as finished,
    ):
        for found in finished:
            storage.deliver(found.task.kept, folder / found.task.kept)
            table.tell(f"{found.task.title}: {found.answer}")


def evenly(length: int, count: int) -> list[int]:
    """Numbers of ``count`` of ``length`` items: the first, the last, and others evenly between them."""
    if count >= length:
        return list(range(length))
    if count == 1:
        return [0]
    return [round(i * (length - 1) / (count - 1)) for i in range(count)]


def check(count: int | None, data: str | None, others: Sequence[str]) -> None:
    """Raise InputError where there is nothing to train on, or nothing to train.

    ``others`` are the flags that were given of those that go with --train.
    """
    if count is not None and data is None:
        raise InputError(
            "--train", got="no --data beside it", wanted="images to train on",
            do="name them: --data digits, or the path of your own",
        )  # fmt: skip
    if count is None and others:
        raise InputError(
            others[0], got="no --train beside it", wanted="rows of the front to train",
            do="say how many: --train 3",
        )  # fmt: skip
