"""Tasks that count to a number: slowly enough to be watched, and from the count that they keep."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blockwise.executors.task import Message, Progress, Said, Task, TaskWatcher
from blockwise.system.files import atomic_write
from blockwise.training.outcome import Epoch
from devices.errors import InputError


@dataclass(frozen=True)
class Counting:
    """Counts to ``steps`` in the file ``kept``; what happens at a count happens when it first comes there."""

    kept: str
    steps: int
    dies_at: int | None = None
    always: bool = False  # it dies whenever it comes there
    mark: str = ""  # a file that tells that it has died; one in the place unless told
    fails_at: int | None = None

    def __call__(self, place: Path, watcher: TaskWatcher) -> tuple[int, int]:
        """The count from which the last worker went on, and the last one."""
        file = place / self.kept
        first = int(file.read_text("utf-8")) if file.exists() else 0
        watcher.expect(("",))
        watcher.phase("bp", "", self.steps, 1)
        for count in range(first + 1, self.steps + 1):
            if count == self.fails_at:
                raise InputError("count", got=count, wanted="less", do="count less")
            watcher.batch(count)
            died = Path(self.mark) if self.mark else place / f"{self.kept}.died"
            if count == self.dies_at and (self.always or not died.exists()):
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            atomic_write(file, str(count))
            watcher.epoch("bp", Epoch(count, "", 1 / count, None, 0.0))
        return first, self.steps


def counting(name: str, steps: int = 3, **happens: Any) -> Task:
    """A task of that name."""
    return Task(name, f"task {name}", f"{name}.txt", Counting(f"{name}.txt", steps, **happens))


class Heard:
    """All that is told, as words."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.parts: dict[str, list[float]] = {}

    def begun(self, task: Task, where: str) -> None:
        """Noted."""
        self.words.append(f"{task.key} begun")

    def heard(self, task: Task, message: Message) -> None:
        """Noted."""
        if isinstance(message, Said):
            self.words.append(f"{task.key} said {message.line}")
        elif isinstance(message, Progress) and message.epoch:
            self.parts.setdefault(task.key, []).append(message.part)

    def lost(self, task: Task, why: str) -> None:
        """Noted."""
        self.words.append(f"{task.key} lost: {why}")

    def finished(self, task: Task) -> None:
        """Noted."""
        self.words.append(f"{task.key} finished")
