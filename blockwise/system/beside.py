"""Work that another core does while this process goes on: what a command waits for takes half as long."""

import gc
import multiprocessing
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from blockwise.system.interrupts import held_back
from blockwise.system.processes import begin, cores

Found = TypeVar("Found")
Work = Callable[[], Found]
"""What is to be done."""

_own = False
_ready: list[tuple[Connection, Callable[[], Any]]] = []
"""Where the process that waits for work takes it, and what waits for its answer; at most one."""


@contextmanager
def own_process() -> Iterator[None]:
    """While the context is, the process is the command's own, and may be forked.

    A program that imports Blockwise may have threads and accelerators that a fork would break.
    """
    global _own
    before, _own = _own, sys.platform == "linux" and cores() > 1
    try:
        yield
    finally:
        _own = before
        _ready.clear()


def beside(work: Work[Found]) -> Work[Found]:
    """Begin ``work``; what is returned waits for what comes of it, and raises what it raises.

    It is done in a forked process, of which nothing else comes back; or else here, when it is asked for.
    """
    return cache(partial(_answer, _forked(work), work) if _own else work)


def load_beside(first: Work[object]) -> None:
    """Begin a process that does ``first``, such as to load a library, before it is given work."""
    if _own:
        inbox, outbox = multiprocessing.get_context("fork").Pipe(duplex=False)
        with inbox:  # the other process has its own: if that one ends, nobody reads what is sent
            _ready.append((outbox, _forked(partial(_when_given, first, inbox))))


def beside_loaded(work: Work[Found]) -> Work[Found]:
    """As :func:`beside`, by the process of :func:`load_beside` if there is one that waits.

    It is told of ``work`` by name: a function of a module, and arguments that can be pickled.
    """
    if not _ready:
        return beside(work)
    outbox, answer = _ready.pop()
    try:
        outbox.send(work)
    except BrokenPipeError:  # it was killed while it loaded
        return beside(work)
    return cache(partial(_answer, answer, work))


def _answer(forked: Work[Found], work: Work[Found]) -> Found:
    try:
        return forked()
    except EOFError:  # it was killed, as where memory is short: here it is done alone
        return work()


def _forked(work: Work[Found]) -> Work[Found]:
    """What waits for the answer. Raises EOFError if the process ends without one."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(work, sender), daemon=True)
    with warnings.catch_warnings(), held_back():
        # From Python 3.12 on any fork of a process with threads warns. The child uses no thread pool
        # that this process may have.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    sender.close()

    def found() -> Found:
        try:
            done, answer = receiver.recv()
        finally:
            process.join()
        if done:
            return answer  # type: ignore[no-any-return]
        raise answer

    return found


def _send(work: Work[Any], sender: Connection) -> None:
    begin()
    gc.disable()  # it would touch, and so copy, all that the other process has
    try:
        answer: tuple[bool, Any] = True, work()
    except Exception as error:
        answer = False, error
    sender.send(answer)


def _when_given(first: Work[object], inbox: Connection) -> Any:
    first()
    return inbox.recv()()
