"""Tasks in processes of this computer, each in a new one: its memory is clean, and its death is its own."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from blockwise.executors.attempts import Attempts
from blockwise.executors.storage import Storage
from blockwise.executors.task import Answers, Finished, Task, Told
from blockwise.executors.version import Version
from blockwise.executors.worker import Done, Failed, Order, perform_elsewhere
from blockwise.system.exit_codes import TERMINATED
from blockwise.system.interrupts import Terminated, sigterm_raises

GRACE_S = 10.0
"""So long a worker may take to remove what is half written, between SIGTERM and SIGKILL."""
READY = ("torch", __name__)
"""Loaded once, with what tasks do, by a process that does nothing else, from which workers are forked. One
that trains may not be: the threads of its sums do not survive a fork."""


@dataclass(frozen=True)
class Running:
    """A task and its worker."""

    task: Task
    process: BaseProcess


@dataclass(frozen=True)
class Processes:
    """So many at a time, each with so many threads."""

    workers: int
    threads: int

    def run(self, tasks: Sequence[Task], storage: Storage, told: Told) -> Answers:
        """As they end. Raises GivenUp at the end for a task whose workers die again and again."""
        attempts, context = Attempts(tasks, told), _context(tasks)
        running: dict[Connection, Running] = {}
        with storage.token() as token, _ended(running):
            order = Order(storage, token, Path.cwd(), self.threads, Version.here())
            while True:
                while len(running) < self.workers and (task := attempts.take()):
                    connection, process = _started(context, task, order)
                    running[connection] = Running(task, process)
                    told.begun(task, _name(process.pid))
                if not running:
                    break
                ready = wait(list(running))
                for connection in [one for one in running if one in ready]:
                    found = _next(connection, running, attempts)
                    if found is not None:
                        told.finished(found.task)
                        yield found
        attempts.check()


def _next(connection: Connection, running: dict[Connection, Running], attempts: Attempts) -> Finished | None:
    """Take one message of a worker, or its end; a finished task if that is the message."""
    task, process = running[connection].task, running[connection].process
    try:
        message = connection.recv()
    except (EOFError, OSError):  # it has died, perhaps within a message
        del running[connection]
        process.join()
        attempts.died(task, _death(process))
        return None
    if not isinstance(message, Done | Failed):
        attempts.heard(task, message)
        return None
    del running[connection]
    process.join()
    if isinstance(message, Failed):
        raise message.error
    return Finished(task, message.answer)


def _death(process: BaseProcess) -> str:
    code = process.exitcode or 0
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"its worker, {_name(process.pid)}, died ({how})"


def _name(pid: int | None) -> str:
    return f"process {pid}"


@contextmanager
def _ended(running: dict[Connection, Running]) -> Iterator[None]:
    """However the context ends, no worker is left, and none in the middle of a file."""
    try:
        yield
    finally:
        for worker in running.values():
            worker.process.terminate()
        until = time.monotonic() + GRACE_S
        for worker in running.values():
            worker.process.join(max(0.0, until - time.monotonic()))
            worker.process.kill()
            worker.process.join()


def _context(tasks: Sequence[Task]) -> BaseContext:
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*READY, *sorted({type(task.work).__module__ for task in tasks})])
    resource_tracker.ensure_running()  # when it starts signals get through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # for ever, in what starts here
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def _started(context: BaseContext, task: Task, order: Order) -> tuple[Connection, BaseProcess]:
    mine, its = context.Pipe(duplex=False)
    process: BaseProcess = context.Process(target=_work, args=(task, order, its))  # type: ignore[attr-defined]
    process.start()
    its.close()  # the worker alone holds it: its end is the end of the pipe
    return mine, process


# -------------------------------------------------------------------- in the worker


def _work(task: Task, order: Order, connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent answers it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with sigterm_raises():
            connection.send(perform_elsewhere(task, order, _name(os.getpid()), connection.send))
    except (Terminated, BrokenPipeError):
        sys.exit(TERMINATED)


def _end_with_parent() -> None:
    """End as by SIGTERM when the parent has ended, even by SIGKILL."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        with suppress(OSError):
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_S)
        os._exit(TERMINATED)
