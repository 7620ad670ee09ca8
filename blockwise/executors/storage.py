"""Where tasks keep what they go on from."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from blockwise.system.files import atomic_write, remove_abandoned
from blockwise.system.locks import only_writer

TOKEN = ".token"
ABANDONED_S = 7 * 24 * 3600
"""For as long no command stays."""


@dataclass(frozen=True)
class Place:
    """Where a worker has what a task keeps: a folder of its own file system."""

    folder: Path
    save: Callable[[], None] = lambda: None  # to be called whenever a state is whole


class Storage(Protocol):
    """What tasks keep, by names of files or folders within it. It is pickled."""

    def opened(self, kept: str) -> AbstractContextManager[Place]:
        """A place in which ``kept`` is as it was saved last, if ever."""

    def deliver(self, kept: str, target: Path) -> None:
        """Move ``kept`` out of the storage to the folder ``target`` on this computer."""

    def remove(self, kept: str) -> None:
        """``kept`` is not needed any more."""

    def only_user(self, name: str) -> AbstractContextManager[None]:
        """No other command keeps what begins with ``name`` meanwhile. Raises InputError while one does."""

    def token(self) -> AbstractContextManager[str]:
        """Something that stands in the storage, under the name that is given, while the context is."""

    def shows(self, token: str) -> bool:
        """Whether it is here."""


@dataclass(frozen=True)
class Folder:
    """A folder that all workers see under the same name."""

    path: Path

    @contextmanager
    def opened(self, kept: str) -> Iterator[Place]:
        """The folder itself: files in it are only ever replaced as a whole."""
        remove_abandoned(self.path / kept)
        yield Place(self.path)

    def deliver(self, kept: str, target: Path) -> None:
        """Nothing to do where it lies there already."""
        found = self.path / kept
        if found.resolve() != target.resolve():
            copy_whole(found, target)
            shutil.rmtree(found)

    def remove(self, kept: str) -> None:
        """A file."""
        (self.path / kept).unlink(missing_ok=True)

    def only_user(self, name: str) -> AbstractContextManager[None]:
        """By a lock of that name in it: half-written files are removed as nobody's."""
        do = "wait for it, or name another folder by --storage"
        return only_writer(self.path / name, f"trainings kept in {self.path}", do)

    @contextmanager
    def token(self) -> Iterator[str]:
        """An empty file of a random name; those that killed commands have left are removed."""
        name = f".{uuid4().hex}{TOKEN}"
        for old in self.path.glob(f".*{TOKEN}"):
            with suppress(OSError):  # another command may do so, too
                if time.time() - old.stat().st_mtime > ABANDONED_S:
                    old.unlink()
        atomic_write(self.path / name, b"")
        try:
            yield name
        finally:
            (self.path / name).unlink(missing_ok=True)

    def shows(self, token: str) -> bool:
        """The file."""
        return (self.path / token).exists()

    def __str__(self) -> str:
        return str(self.path)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a folder; ``target`` is there as a whole, or as it was."""
    half = target.with_name(f".{target.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copytree(source, half)
        shutil.rmtree(target, ignore_errors=True)
        half.rename(target)
    finally:
        shutil.rmtree(half, ignore_errors=True)
