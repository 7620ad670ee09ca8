"""One who is told how tasks go, and kills the worker of one of them in the middle of its training."""

import os
import signal

from small_tasks import Heard

from blockwise.executors.task import Message, Progress, Task


class Killer(Heard):
    """Kills the worker of the first task that ends an epoch, once."""

    def __init__(self) -> None:
        super().__init__()
        self.killed = ""
        self._places: dict[str, str] = {}

    def begun(self, task: Task, where: str) -> None:
        """Where it runs: the process is the last word."""
        super().begun(task, where)
        self._places[task.key] = where

    def heard(self, task: Task, message: Message) -> None:
        """An epoch."""
        super().heard(task, message)
        if not self.killed and isinstance(message, Progress) and message.epoch:
            self.killed = task.key
            os.kill(int(self._places[task.key].split()[-1]), signal.SIGKILL)
