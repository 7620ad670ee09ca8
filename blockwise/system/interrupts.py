"""SIGTERM as an exception, like Ctrl-C: what is half-written is removed, and workers are stopped."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from blockwise.system.exit_codes import INTERRUPTED, TERMINATED


class Terminated(KeyboardInterrupt):
    """SIGTERM: a scheduler or a container asks this process to end."""


def exit_code(stop: KeyboardInterrupt) -> int:
    """The shells' code for what stopped the process."""
    return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """While the context is, SIGTERM raises :class:`Terminated`, unless the caller has a use for it."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Terminated
