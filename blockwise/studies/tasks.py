"""Trainings of a study as tasks of an executor: one recorded line a run, what was cut off goes on."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blockwise.executors.storage import Storage
from blockwise.executors.task import Executor, Task, TaskWatcher, Told
from blockwise.experiment.prepared import accelerator_of
from blockwise.quant.precision import FLOAT32
from blockwise.studies import records
from blockwise.studies.jobs import Job
from blockwise.studies.lines import train
from blockwise.training.circumstances import as_begun
from devices.errors import InputError


@dataclass(frozen=True)
class JobWork:
    """The training of a job, wherever a worker finds the same images."""

    job: Job
    key: str  # as it was found where the study was begun
    precision: str  # so was this
    init: str | None  # and the weights that it starts from
    kept: str
    data_name: str

    def __call__(self, place: Path, watcher: TaskWatcher) -> dict[str, Any]:
        """Its line for the record.

        Raises InputError for another precision, start or other images than where the study was begun.
        """
        if self.job.precision != self.precision:
            raise InputError(
                f"--precision {self.job.config.training.precision}",
                got=f"{self.job.precision} on a worker and {self.precision} here", wanted="the same on all",
                do=f"give --precision {FLOAT32}, or workers and a processor here that have it",
            )  # fmt: skip
        if self.job.init != self.init:
            raise InputError(
                f"--inits {self.job.config.network.init}", got="other weights on a worker than here",
                wanted="the same on all", do="bring the run or file up to date there",
            )  # fmt: skip
        if self.job.key != self.key:
            raise InputError(
                f"--data {self.job.config.images.data}", got="other images on a worker than here",
                wanted="the same on all", do="bring the set up to date there",
            )  # fmt: skip
        checkpoint = place / self.kept
        with as_begun([checkpoint], accelerator_of(self.job.config), self.job.compiled):
            return train(self.job, checkpoint, watcher, self.data_name)


def task_of(job: Job, title: str, path: Path, data_name: str) -> Task:
    """A job as a task of the study recorded in ``path``."""
    key = job.key
    kept = f"{path.stem}-{key}.pt"
    return Task(key, title, kept, JobWork(job, key, job.precision, job.init, kept, data_name))


def run_all(
    tasks: Sequence[Task], path: Path, executor: Executor, storage: Storage, told: Told
) -> Iterator[dict[str, Any]]:
    """Train ``tasks``; yields each line when it is recorded in ``path``, to which nobody else writes.

    Runs that are interrupted go on from their last epochs: their checkpoints stay in ``storage``.
    """
    with closing(executor.run(tasks, storage, told)) as finished:
        for found in finished:
            records.append(path, found.answer)
            storage.remove(found.task.kept)
            yield found.answer
