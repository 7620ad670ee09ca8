"""Progress of training on stderr: a bar with the time left, or plain lines where there is no terminal."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from blockwise.training.outcome import Epoch


class ConsoleWatcher:
    """A bar per phase; use it as a context."""

    def __init__(self, console: Console, epochs: int) -> None:
        self.console, self.epochs = console, epochs
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Bar(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=None, visible=False)

    def __enter__(self) -> "ConsoleWatcher":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def phase(self, regime: str, block: str, batches: int) -> None:
        """Start a new bar of ``batches`` steps."""
        name = f"{regime} {block}".strip()
        self._bar.remove_task(self._task)
        self._task = self._bar.add_task(f"training {name}", total=batches)

    def batch(self, done: int) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=done)

    def epoch(self, regime: str, epoch: Epoch) -> None:
        """One line per epoch, only where there is no bar."""
        if self.console.is_terminal:
            return
        accuracy = epoch.validation_accuracy
        shown = "" if accuracy is None else f", validation accuracy {accuracy:.1%}"
        name = f"{regime} {epoch.block}".strip()
        self.console.print(
            f"{name}: epoch {epoch.epoch}/{self.epochs}, loss {epoch.train_loss:.3f}{shown}, "
            f"{epoch.seconds:.1f} s",
            highlight=False, soft_wrap=True,
        )  # fmt: skip


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
