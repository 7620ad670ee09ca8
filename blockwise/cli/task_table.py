"""How tasks go, on stderr: a table that changes, or a line for each epoch without a terminal."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from blockwise.cli.progress import ROOMY, outcome
from blockwise.executors.task import Message, Said, Task
from blockwise.report.text import duration
from blockwise.system.files import WriteError
from blockwise.training.outcome import Epoch

GO_ON = "the same command goes on"


@dataclass
class Running:
    """A task that has begun."""

    task: Task
    where: str
    first: float | None = None  # how much of it was done before
    part: float = 0.0
    block: str = ""
    last: Epoch | None = None
    epochs: int = 0  # of the block in training, once one has ended


class TaskTable:
    """What runs, and in a last line how many wait and the time left; use it as a context."""

    def __init__(
        self, console: Console, epochs: int, total: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console, self.epochs, self.total = console, epochs, total
        self._clock, self._began = clock, clock()
        self._running: dict[str, Running] = {}
        self._done, self._gained = 0, 0.0  # tasks that are finished, and the work of them done by now
        self._live = Live(
            console=console, transient=True, refresh_per_second=2, get_renderable=self.render,
            auto_refresh=console.is_terminal,
        )  # fmt: skip

    def __enter__(self) -> "TaskTable":
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Whoever interrupts it is told how to go on."""
        self._live.stop()
        if isinstance(value, KeyboardInterrupt):
            raise type(value)(GO_ON) from value
        if isinstance(value, WriteError):
            raise value.before(GO_ON) from value

    def begun(self, task: Task, where: str) -> None:
        """It runs from now on."""
        self._running[task.key] = Running(task, where)

    def heard(self, task: Task, message: Message) -> None:
        """A line, or how far it is."""
        running = self._running[task.key]
        if isinstance(message, Said):
            self.tell(f"{task.title}: {message.line}")
            return
        if running.first is None:
            running.first = message.part
        running.part, running.block = message.part, message.block
        if message.epoch is not None:
            running.last, running.epochs = message.epoch, message.epochs
            if not self.console.is_terminal:
                self.tell(f"{_name(running)}: {self._ended(running, message.epoch)}")

    def lost(self, task: Task, why: str) -> None:
        """It waits again."""
        self._leave(task, kept=False)
        self.tell(f"{task.title}: {why}")

    def finished(self, task: Task) -> None:
        """It waits for nothing."""
        self._leave(task, kept=True)
        self._done += 1

    def _leave(self, task: Task, *, kept: bool) -> None:
        running = self._running.pop(task.key)
        if kept:
            self._gained += 1 - (running.first or 0.0)

    def tell(self, line: str) -> None:
        """On a line of its own, over the table."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _ended(self, running: Running, epoch: Epoch) -> str:
        return f"epoch {epoch.epoch}/{running.epochs or self.epochs}, {outcome(epoch)}, {epoch.seconds:.1f} s"

    # ---------------------------------------------------------------- the table

    def render(self) -> Group:
        """A line for each task that runs, and one for the others."""
        table, roomy = Table.grid(padding=(0, 2), expand=True), self.console.width >= ROOMY
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        for running in tuple(self._running.values()):
            last = outcome(running.last, short=True) if running.last and roomy else ""
            epoch = f"{running.last.epoch if running.last else 0}/{running.epochs or self.epochs}"
            table.add_row(_name(running), running.where if roomy else "", epoch, last, f"{running.part:.0%}")
        return Group(table, Text(self.summary(), no_wrap=True, overflow="ellipsis"))

    def summary(self) -> str:
        """In one line."""
        running = len(self._running)
        parts = [
            f"{running} running", f"{self.total - self._done - running} waiting",
            f"{self._done} of {self.total} done",
        ]  # fmt: skip
        left = self.seconds_left()
        return ", ".join(parts if left is None else (*parts, f"{duration(max(left, 1.0))} left"))

    def seconds_left(self) -> float | None:
        """As if all tasks were alike, and at the pace so far; None: nothing is known yet."""
        running = tuple(self._running.values())
        gained = self._gained + sum(r.part - (r.first or 0.0) for r in running)
        left = self.total - self._done - sum(r.part for r in running)
        return (self._clock() - self._began) * left / gained if gained > 0 else None


def _name(running: Running) -> str:
    return f"{running.task.title} {running.block}".strip()
