"""Notes: what a user should know although it stops nothing, as one line each on the command line."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from blockwise.system.streams import one_line


class Note(UserWarning):
    """A warning that is meant for the user."""


def note(text: str) -> None:
    """Tell ``text``: in a program that imports Blockwise as a warning, on the command line as a line."""
    warnings.warn(text, Note, stacklevel=2)


@contextmanager
def told_in_lines() -> Iterator[None]:
    """While the context is, notes are lines on stderr, each told once, and libraries' warnings are not shown.

    They speak of code, not of what was asked for. ``python -W`` or PYTHONWARNINGS shows them again.
    """
    disabled = logging.root.manager.disable
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
            logging.disable(logging.WARNING)  # matplotlib and PyTorch tell some of theirs by this way
        warnings.simplefilter("always", Note)
        shown, told = warnings.showwarning, set[str]()

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, Note):
                shown(message, category, *where, **more)
            elif str(message) not in told:  # one network or set may be made many times
                print(f"blockwise: {one_line(str(message))}", file=sys.stderr)
                told.add(str(message))

        warnings.showwarning = show
        try:
            yield
        finally:
            logging.disable(disabled)
