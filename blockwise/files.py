"""Writing files so that a reader never sees half of one."""

import os
from pathlib import Path
from uuid import uuid4

from devices.errors import InputError


def atomic_write(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write ``data`` to ``path`` completely or not at all; text is stored as UTF-8.

    The data goes to a new file in the same folder (``os.replace`` is atomic only within one file
    system), reaches the disk, and takes the place of the old file. Whatever goes wrong, an old file
    stays as it was and the new one is removed. Raises OSError.
    """
    target = Path(path)
    payload = data.encode("utf-8") if isinstance(data, str) else data
    temporary = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
    try:
        _write_new(temporary, payload)
        os.replace(temporary, target)
    except BaseException:  # an interrupt must not leave the temporary file behind either
        temporary.unlink(missing_ok=True)
        raise


def make_folder(folder: Path, flag: str) -> None:
    """Make ``folder`` if it is not there. Raises InputError naming ``flag`` where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            flag, got=f"{folder}: {error.strerror}", wanted="a folder that can be made", do="choose another"
        ) from error


def _write_new(path: Path, payload: bytes) -> None:
    # Mode "x" honours the umask, which tempfile's 0600 would not: results are meant to be shared.
    with open(path, "xb") as file:
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())
