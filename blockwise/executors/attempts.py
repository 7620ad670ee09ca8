"""Which tasks wait for a worker, and how often those of a task have died."""

from collections import Counter, deque
from collections.abc import Sequence

from blockwise.executors.task import Message, Progress, Task, Told
from blockwise.system.exit_codes import FAILED
from devices.errors import InputError

MOST_DEATHS = 3
"""Of workers one after the other, on one task, without an epoch in between: then it is given up."""


class GivenUp(InputError):
    """A task whose workers die, and nothing that the command line can help."""

    exit_code = FAILED


class Attempts:
    """Tasks in their order; one whose worker has died comes first again."""

    def __init__(self, tasks: Sequence[Task], told: Told) -> None:
        self._waiting, self._told = deque(tasks), told
        self._deaths: Counter[str] = Counter()
        self._given_up: list[tuple[Task, str]] = []

    def take(self) -> Task | None:
        """The next task, None while none waits."""
        return self._waiting.popleft() if self._waiting else None

    def heard(self, task: Task, message: Message) -> None:
        """A message of ``task``. One that gets on may lose any number of workers."""
        if isinstance(message, Progress) and message.epoch is not None:
            del self._deaths[task.key]
        self._told.heard(task, message)

    def died(self, task: Task, why: str) -> None:
        """The worker of ``task`` has died, which ``why`` says in words."""
        self._deaths[task.key] += 1
        if self._deaths[task.key] < MOST_DEATHS:
            self._waiting.appendleft(task)
            self._told.lost(task, f"{why}; it goes on from its last epoch")
        else:
            self._given_up.append((task, why))
            self._told.lost(task, f"{why}, {MOST_DEATHS} times without an epoch in between; it is given up")

    def check(self) -> None:
        """Behind all others. Raises GivenUp if there is a task that could not be done."""
        if self._given_up:
            task, why = self._given_up[0]
            more = f", and {len(self._given_up) - 1} more" if len(self._given_up) > 1 else ""
            raise GivenUp(
                f"{task.title}{more}", got=f"{why} {MOST_DEATHS} times", wanted="a worker that lives",
                do="give each more memory (fewer --workers), then the same command goes on",
            )  # fmt: skip
