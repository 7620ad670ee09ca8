"""A task: work that may be done in another process, and that goes on from what it keeps if it is cut off."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from blockwise.executors.storage import Storage
from blockwise.training.options import Watcher
from blockwise.training.outcome import Epoch


class TaskWatcher(Watcher, Protocol):
    """A watcher that is also told how many phases there are."""

    def expect(self, phases: Sequence[str]) -> None:
        """The blocks that are trained one after the other, before the first; one phase has the name ""."""


class Work(Protocol):
    """What is done, as a function of where: it is pickled, so it is a frozen dataclass of plain values."""

    def __call__(self, place: Path, watcher: TaskWatcher) -> Any:
        """Do it, from what is kept within ``place`` if there is anything; the answer is pickled, too."""


@dataclass(frozen=True)
class Task:
    """``key`` tells it from all others, ``title`` is for people."""

    key: str
    title: str
    kept: str  # the file or folder, within the storage, that it goes on from
    work: Work


@dataclass(frozen=True)
class Finished:
    """A task and the answer of its work."""

    task: Task
    answer: Any


@dataclass(frozen=True)
class Progress:
    """How far a task is."""

    part: float  # of all its work, 0..1
    block: str  # in training; "" when all are
    epoch: Epoch | None = None  # that has just ended
    epochs: int = 0  # of the block, beside that


@dataclass(frozen=True)
class Said:
    """A line that a task has for its user."""

    line: str


Message = Progress | Said
Tell = Callable[[Message], None]
"""Takes the messages of one task."""


Answers = Generator[Finished, None, None]


class Told(Protocol):
    """Is told how tasks go."""

    def begun(self, task: Task, where: str) -> None:
        """A worker begins ``task``, or goes on with it; ``where`` is in words, empty for this process."""

    def heard(self, task: Task, message: Message) -> None:
        """A message of ``task``."""

    def lost(self, task: Task, why: str) -> None:
        """The worker of ``task`` has died, and what follows, in words; it runs no more."""

    def finished(self, task: Task) -> None:
        """Its answer is here."""


class Untold:
    """One who takes no notice."""

    def begun(self, task: Task, where: str) -> None:
        """Nothing."""

    def heard(self, task: Task, message: Message) -> None:
        """Nothing."""

    def lost(self, task: Task, why: str) -> None:
        """Nothing."""

    def finished(self, task: Task) -> None:
        """Nothing."""


class Executor(Protocol):
    """Does tasks somewhere."""

    def run(self, tasks: Sequence[Task], storage: Storage, told: Told) -> Answers:
        """Each task when it is finished, in whatever order; raises what a task raises.

        Whoever stops before the end closes the answers: no worker is left then, and what tasks keep is whole.
        """
