"""SIGTERM as an exception, like Ctrl-C: what is half-written is removed, and workers are stopped."""

import signal
import threading
from collections.abc import Callable, Iterator
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


@contextmanager
def sigterm_told() -> Iterator[None]:
    """While a library waits in C: it makes a plain KeyboardInterrupt of all that a handler raises.

    Of that for SIGTERM :class:`Terminated` is made again, behind the block.
    """
    before, told = signal.getsignal(signal.SIGTERM), list[int]()
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def tell(number: int, frame: FrameType | None) -> None:
        told.append(number)
        before(number, frame)

    signal.signal(signal.SIGTERM, tell)
    try:
        yield
    except KeyboardInterrupt as stop:
        if told and not isinstance(stop, Terminated):
            raise Terminated(*stop.args) from stop
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Terminated


@contextmanager
def held_back(stop: Callable[[], None] = lambda: None) -> Iterator[None]:
    """While C code calls Python: a signal only calls ``stop`` there, and is answered behind the block.

    What is raised within a call from C, as within a fork, is printed and dropped, and the call is left half
    done.
    """
    told: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        told.append(number)
        stop()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    answered = {number: handler for number, handler in before.items() if callable(handler)}
    if threading.current_thread() is not threading.main_thread():
        answered = {}  # only the main thread is told of signals
    for number in answered:
        signal.signal(number, hold)
    try:
        yield
    finally:
        for number, handler in answered.items():
            signal.signal(number, handler)
        if told:
            signal.raise_signal(told[0])
