"""One writer of a file at a time, also among the commands of several terminals."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devices.errors import InputError


@contextmanager
def only_writer(path: Path, subject: str, do: str) -> Iterator[None]:
    """Hold ``.NAME.lock`` beside ``path``, which is gone behind it; one that a killed process leaves is free.

    Of a link it is that of the file that it leads to, which is what is written. Raises InputError about
    ``subject``, which advises to ``do`` something else, while another process holds it.
    """
    if sys.platform == "win32":  # which has no such locks
        yield
        return
    written = Path(os.path.realpath(path))
    lock = written.with_name(f".{written.name}.lock")
    held = _held(lock)
    if held is None:
        raise InputError(subject, got="another command that writes it", wanted="one", do=do)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(held)


def _held(lock: Path) -> int | None:
    """The open file; None where another process has it."""
    import fcntl  # of Unix alone

    while True:
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:  # a file system that knows no locks
            return descriptor
        if _is_still(lock, descriptor):
            return descriptor
        os.close(descriptor)  # its writer has just ended, and took it away


def _is_still(lock: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(lock.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
