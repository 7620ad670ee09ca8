"""Worker processes that end with this one, however it ends."""

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from blockwise.system.interrupts import held_back


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def process_pool(jobs: int, first: Callable[[], None] | None = None) -> Iterator[ProcessPoolExecutor]:
    """``jobs`` processes, each of which calls ``first`` first; an exception stops them at once.

    They are forked where that is safe (Linux), so that they need not load PyTorch again.
    """
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(first,))
    try:
        with warnings.catch_warnings(), held_back():
            # From Python 3.12 on any fork of a process with threads warns. The children touch none
            # of the thread pools that this process may have.
            warnings.simplefilter("ignore", DeprecationWarning)
            pool.submit(int)  # the first task starts every process
        yield pool
    except BaseException:
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()  # the answers of running tasks are not waited for
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(first: Callable[[], None] | None) -> None:
    begin()
    if first is not None:
        first()


def begin() -> None:
    """In a process that another has started: leave signals to that one, and end with it."""
    # Ctrl-C reaches every process of the group: the parent alone answers it. Its handler of SIGTERM,
    # inherited, would answer in the child too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent has ended, even by SIGKILL."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
