"""Writing files so that a reader never sees half of one, and failures name the user's own file."""

import contextlib
import errno
import os
import re
import stat
from pathlib import Path
from typing import Any
from uuid import uuid4
from zlib import crc32

from blockwise.system.exit_codes import FAILED
from devices.errors import InputError

NAME_KEPT = 32
"""Characters of a file's name in that of its temporary file: a long name must not become too long."""
_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{8}\.[0-9a-f]{32}\.tmp", re.DOTALL)
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class WriteError(InputError):
    """A file that could not be written after work was done for it: a failure, not bad usage."""

    exit_code = FAILED

    def __init__(self, path: str, error: OSError, size: int, then: str = "try again") -> None:
        self._parts = path, error, size
        full = error.errno in NO_ROOM
        wanted = f"room for {size:,} bytes" if full else "a file that can be written"
        first = "free some" if full else "make it writable"
        super().__init__(path, got=reason(error), wanted=wanted, do=f"{first}, then {then}")

    def before(self, then: str) -> "WriteError":
        """The same where something else than trying again gets the work done."""
        return WriteError(*self._parts, then)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by its parts."""
        return WriteError, self._parts


def reason(error: OSError) -> str:
    """What the system says, without its number and without names of temporary files."""
    return error.strerror or str(error) or type(error).__name__


def atomic_write(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write ``data`` to ``path`` completely or not at all; text is stored as UTF-8.

    The data goes to a new file in the same folder (``os.replace`` is atomic only within one file
    system), reaches the disk, and takes the place of the old file. Whatever goes wrong, an old file
    stays as it was and the new one is removed. What is no regular file (a device, a pipe) is written
    to, and a link is followed, so that neither is replaced. Raises WriteError.

    Names that are not UTF-8 reach text as lone surrogates. They are stored as backslash escapes,
    which JSON reads back as what they were.
    """
    payload = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    try:
        _write(os.path.realpath(path), payload)
    except OSError as error:
        raise WriteError(os.fspath(path), error, len(payload)) from error


def check_file(path: Path, flag: str) -> None:
    """Raise InputError naming ``flag`` unless a file can be written at ``path``; nothing stays there."""
    found = "a folder" if os.path.isdir(path) else ""
    if not os.path.isdir(path.parent):
        found = f"no folder {path.parent}"
    if not found:
        try:
            _probe(os.path.realpath(path))
            return
        except OSError as error:
            found = reason(error)
    raise InputError(
        f"{flag} {path}", got=found, wanted="a file in a folder that exists and can be written",
        do="name another file",
    )  # fmt: skip


def make_folder(folder: Path, flag: str) -> None:
    """Make ``folder`` if it is not there. Raises InputError naming ``flag`` if it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _probe(os.path.join(folder, "probe"))
    except OSError as error:
        raise InputError(
            f"{flag} {folder}", got=reason(error), wanted="a folder that can be written", do="choose another"
        ) from error


def remove_abandoned(path: Path) -> None:
    """Remove what a killed process has left half written of the file, or within the folder, ``path``.

    Only for files that no other process writes at the time.
    """
    target = os.path.realpath(path)
    folder, mine = (target, "") if os.path.isdir(target) else (os.path.dirname(target), _prefix(target))
    for found in Path(folder).rglob("*.tmp") if not mine else Path(folder).glob("*.tmp"):
        if _TEMPORARY.fullmatch(found.name) and found.name.startswith(mine):
            _remove(str(found))


def _write(target: str, payload: bytes) -> None:
    if _is_special(target):
        with open(target, "wb") as file:
            file.write(payload)
        return
    temporary = _beside(target)
    try:
        _write_new(temporary, payload)
        os.replace(temporary, target)
    except BaseException:  # an interrupt must not leave the temporary file behind either
        _remove(temporary)
        raise


def _probe(target: str) -> None:
    """Make and remove an empty file beside ``target``. Raises OSError if that cannot be done."""
    if _is_special(target):
        return
    temporary = _beside(target)
    try:
        open(temporary, "xb").close()
    finally:
        _remove(temporary)


def _is_special(target: str) -> bool:
    """Whether there is something that is no regular file. Raises OSError for a name that cannot be."""
    try:
        return not stat.S_ISREG(os.stat(target).st_mode)
    except FileNotFoundError:
        return False


def _beside(target: str) -> str:
    return os.path.join(os.path.dirname(target), f"{_prefix(target)}{uuid4().hex}.tmp")


def _prefix(target: str) -> str:
    """How the temporary files of ``target`` begin, and of no other file in its folder."""
    name = os.path.basename(target)
    return f".{name[:NAME_KEPT]}.{crc32(os.fsencode(name)):08x}."


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):  # it may never have been made
        os.unlink(path)


def _write_new(path: str, payload: bytes) -> None:
    # Mode "x" honours the umask, which tempfile's 0600 would not: results are meant to be shared.
    with open(path, "xb") as file:
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())
