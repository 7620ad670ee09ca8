"""Progress of a long read: a callback, by default a bar on a terminal and nothing elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

ProgressCallback = Callable[[int, int], None]
"""Called with (images done, images in all)."""


def silent(done: int, total: int) -> None:
    """Show nothing."""


@contextmanager
def reporting(progress: ProgressCallback | None, what: str) -> Iterator[ProgressCallback]:
    """``progress`` itself, or the default for None, live while the context is."""
    if progress is not None or not sys.stderr.isatty():
        yield progress or silent
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )  # fmt: skip
    # Without automatic refreshing there is no thread beside the ones that decode.
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as bar:
        task = bar.add_task(what, total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, refresh=True)

        yield show
