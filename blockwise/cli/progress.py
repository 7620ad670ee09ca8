"""Progress on stderr: one line that changes over the finished epochs, or plain lines without a terminal."""

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column

from blockwise.cli.expected import Expected, Share
from blockwise.report.text import duration
from blockwise.training.outcome import Epoch

ROOMY = 120
"""Columns of a terminal on which the line says everything in full."""


class ConsoleWatcher:
    """What is trained now, how well the last epoch went, and the time left in all; use it as a context."""

    def __init__(self, console: Console, epochs: int, *, lines: bool = True, rounds: int = 1) -> None:
        """``lines``: leave one on the screen for each finished epoch. A file or a pipe gets them always.

        ``rounds``: how often all of it is trained, each begun by :meth:`expect`.
        """
        self.console, self.epochs = console, epochs
        self.expected, self.lines = Expected(rounds=rounds), lines or not console.is_terminal
        self._line = Bar(
            TextColumn(
                "{task.description}", markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            TextColumn("{task.fields[left]}", markup=False, table_column=Column(no_wrap=True)),
            console=console, transient=True, expand=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._line.add_task("", total=None, visible=False, left="")
        self._regime, self._block, self._batches = "", "", 1
        self._last: Epoch | None = None
        self._tell: Callable[[], None] | None = None

    def __enter__(self) -> "ConsoleWatcher":
        self._line.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._line.stop()

    def expect(self, shares: Sequence[Share], tell: Callable[[], None], *, begun: bool = False) -> None:
        """What is to be trained in all, and ``tell`` it.

        Of what has ``begun`` only before its first step, if there is one left: until then its files may be
        refused, in a single line.
        """
        self.expected.begin(shares)
        self._tell = tell
        if not begun:
            self._tell_once()

    def _tell_once(self) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell()

    def phase(self, regime: str, block: str, batches: int, epochs: int) -> None:
        """A phase of ``batches`` steps in so many epochs begins."""
        self._tell_once()
        self._regime, self._block, self._batches, self._last = regime, block, batches, None
        self.epochs = epochs
        self._show(0)

    def batch(self, done: int) -> None:
        """``done`` steps of the phase are behind."""
        if self.console.is_terminal:
            self._show(done)

    def epoch(self, regime: str, epoch: Epoch) -> None:
        """One more is finished."""
        self._last = epoch
        if self.lines:
            name = f"{regime} {epoch.block}".strip()
            self.console.print(
                f"{name}: epoch {epoch.epoch}/{self.epochs}, {outcome(epoch)}, {epoch.seconds:.1f} s",
                highlight=False, soft_wrap=True,
            )  # fmt: skip

    def _show(self, done: int) -> None:
        left = self.expected.seconds_left(self._regime, self._block, done / self._batches)
        self._line.update(
            self._task,
            visible=True,
            description=self.line(done),
            left="" if left is None else f"{duration(max(left, 1.0))} left",
        )

    def line(self, done: int) -> str:
        """Which regime, its block, the epoch and how the last one went; shorter on narrow screens."""
        number, count = self.expected.count(self._regime)
        epoch = min(done * self.epochs // self._batches + 1, self.epochs)
        roomy = self.console.width >= ROOMY
        of = " of " if roomy else "/"
        which = f"regime {number} of {count}: " if roomy else f"{number}/{count} "
        block = f"block {self._block}" if roomy and self._block else self._block
        parts = [
            (which if count else "") + self._regime, block, f"epoch {epoch}{of}{self.epochs}",
            outcome(self._last, short=not roomy) if self._last else "",
        ]  # fmt: skip
        return ", ".join(filter(None, parts))


def outcome(epoch: Epoch, *, short: bool = False) -> str:
    """The loss of an epoch and, where there is one, its validation accuracy."""
    accuracy = epoch.validation_accuracy
    words = "valid." if short else "validation accuracy"
    return f"loss {epoch.train_loss:.3f}" + ("" if accuracy is None else f", {words} {accuracy:.1%}")


class CheckProgress:
    """How far a check of firmware is: one line that changes, or a line for each part; use it as a context."""

    def __init__(self, console: Console, steps: int, *, quiet: bool) -> None:
        self.console, self.steps, self.quiet = console, steps, quiet
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Bar(
            *columns, console=console, transient=True, disable=quiet or not console.is_terminal
        )  # fmt: skip
        self._task = self._bar.add_task("", total=steps, visible=False)
        self._last = ""

    def __enter__(self) -> "CheckProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def tell(self, what: str, done: int) -> None:
        """``done`` steps of ``what`` is done are behind."""
        new, self._last = what != self._last, what
        if new and not self.quiet and not self.console.is_terminal:
            self.console.print(f"{what}, {self.steps:,} steps", highlight=False, soft_wrap=True)
        if new:
            self._bar.reset(self._task, total=self.steps, description=what, visible=True)
        self._bar.update(self._task, completed=min(done, self.steps))
