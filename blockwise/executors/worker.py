"""What every worker does with a task, wherever it is."""

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from blockwise.executors.reports import Reports
from blockwise.executors.storage import Storage
from blockwise.executors.task import Said, Task, Tell
from blockwise.executors.version import Version
from blockwise.system.notes import told_in_lines
from devices.errors import InputError


@dataclass(frozen=True)
class Order:
    """What workers elsewhere are told beside the task."""

    storage: Storage
    token: str  # that stands in the storage
    folder: Path  # names of files are relative to it, where workers see it
    threads: int  # of a task
    version: Version


@dataclass(frozen=True)
class Done:
    """The answer of a task."""

    answer: Any


@dataclass(frozen=True)
class Failed:
    """What a task has raised."""

    error: Exception


def perform(task: Task, storage: Storage, tell: Tell) -> Any:
    """The answer of the task's work; after every epoch what it keeps is safe in ``storage``."""
    with storage.opened(task.kept) as place:
        answer = task.work(place.folder, Reports(tell, place.save))
        place.save()
    return answer


def perform_elsewhere(task: Task, order: Order, where: str, tell: Tell) -> Done | Failed:
    """The same in a process of its own: what the task prints is told line by line."""
    try:
        check_worker(order, where)
        with suppress(OSError):  # a computer with other files has what the task needs under full names
            os.chdir(order.folder)
        torch.set_num_threads(order.threads)
        with _spoken(tell):
            return Done(perform(task, order.storage, tell))
    except Exception as error:
        return Failed(_portable(error))


def check_worker(order: Order, where: str) -> None:
    """Raise InputError unless this code and this storage are those of whoever gives orders."""
    here = Version.here()
    if here != order.version:
        raise InputError(
            f"worker on {where}", got=str(here), wanted=f"{order.version}, as where the command was given",
            do="install the same there; the same command goes on",
        )  # fmt: skip
    if not order.storage.shows(order.token):
        raise InputError(
            f"--storage {order.storage}", got=f"another one on {where}", wanted="one that all workers share",
            do="name a folder that is mounted everywhere, or a URL that fsspec reaches, as s3://BUCKET/NAME",
        )  # fmt: skip


def _portable(error: Exception) -> Exception:
    """Itself if another process can read it, else its words."""
    with suppress(Exception):
        pickle.loads(pickle.dumps(error))
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")


class _Lines(StringIO):
    """A stream that tells each line when it is whole."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self._tell, self._begun = tell, ""

    def write(self, text: str) -> int:
        """Of which lines come out without the name of the program."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._tell(Said(line.removeprefix("blockwise: ")))
        return len(text)


@contextmanager
def _spoken(tell: Tell) -> Iterator[None]:
    lines = _Lines(tell)
    with redirect_stdout(lines), redirect_stderr(lines), told_in_lines():
        yield
