"""Storage that is no folder: whatever fsspec reaches, as s3://BUCKET/NAME or sftp://HOST/PATH."""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

from blockwise.executors.storage import Place, copy_whole
from devices.errors import InputError

HALF = ".half"
"""Behind the name of a file that is on its way: only what has arrived takes the name."""


@dataclass(frozen=True)
class Remote:
    """At a URL; workers have copies, and bring back what changes."""

    url: str

    def __str__(self) -> str:
        return self.url

    @contextmanager
    def opened(self, kept: str) -> Iterator[Place]:
        """A folder that is gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="blockwise-") as folder:
            copy = _Copy(*self._reached(), kept, Path(folder))
            copy.bring()
            yield Place(Path(folder), copy.save)

    def deliver(self, kept: str, target: Path) -> None:
        """A copy, and then nothing is left at the URL."""
        with self.opened(kept) as place:
            copy_whole(place.folder / kept, target)
        self.remove(kept)

    def remove(self, kept: str) -> None:
        """A file or a folder."""
        system, root = self._reached()
        halves = system.glob(f"{root}/{kept}.*{HALF}")
        for name in (f"{root}/{kept}", *halves):
            if system.exists(name):
                system.rm(name, recursive=True)

    def only_user(self, name: str) -> AbstractContextManager[None]:
        """Not asked for: files at a URL are sent under names of their own and then renamed."""
        return nullcontext()

    @contextmanager
    def token(self) -> Iterator[str]:
        """A file of a random name. Raises InputError for a URL that cannot be written to."""
        name = f"{uuid4().hex}.token"
        system, root = self._reached()
        try:
            system.makedirs(root, exist_ok=True)
            system.pipe_file(f"{root}/{name}", b"token")
        except Exception as error:  # each system has its own
            raise self._refused(error) from error
        try:
            yield name
        finally:
            with suppress(Exception):
                system.rm_file(f"{root}/{name}")

    def shows(self, token: str) -> bool:
        """The file."""
        system, root = self._reached()
        return bool(system.exists(f"{root}/{token}"))

    def _reached(self) -> tuple[Any, str]:
        """The file system and the folder in it."""
        try:
            system, root = import_module("fsspec").url_to_fs(self.url)
        except Exception as error:
            raise self._refused(error) from error
        system.invalidate_cache()
        return system, root.rstrip("/")

    def _refused(self, error: Exception) -> InputError:
        lines = str(error).strip().splitlines()
        return InputError(
            f"--storage {self.url}", got=lines[0] if lines else type(error).__name__,
            wanted="a folder, or a URL that fsspec reaches and that can be written to",
            do="install what fsspec needs for it, or name another",
        )  # fmt: skip


@dataclass
class _Copy:
    """Of what is kept under one name."""

    system: Any
    root: str
    kept: str
    folder: Path
    known: dict[Path, tuple[int, int]] = field(default_factory=dict)  # size and time of what is there already

    def bring(self) -> None:
        """Here."""
        for name in self.system.find(f"{self.root}/{self.kept}"):
            if not name.endswith(HALF):
                path = self.folder / name[name.index(self.root) + len(self.root) + 1 :]
                path.parent.mkdir(parents=True, exist_ok=True)
                self.system.get_file(name, str(path))
                self.known[path] = _state(path)

    def save(self) -> None:
        """There: each file whole or not at all, in the order in which they were written."""
        mine = self.folder / self.kept
        files = [mine] if mine.is_file() else [path for path in mine.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda path: path.stat().st_mtime_ns):
            if self.known.get(path) != _state(path):
                state = _state(path)
                self._send(path, f"{self.root}/{path.relative_to(self.folder).as_posix()}")
                self.known[path] = state

    def _send(self, path: Path, name: str) -> None:
        self.system.makedirs(name.rpartition("/")[0], exist_ok=True)
        half = f"{name}.{uuid4().hex}{HALF}"
        try:
            self.system.put_file(str(path), half)
            self.system.mv(half, name)
        except BaseException:
            with suppress(Exception):
                self.system.rm_file(half)
            raise


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
