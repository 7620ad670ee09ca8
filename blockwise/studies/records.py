"""A study's finished runs: one JSON line each, in a file that is only ever replaced as a whole."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from blockwise.files import atomic_write
from devices.errors import InputError


def read(path: Path, keys: Iterable[str] = ("key",)) -> list[dict[str, Any]]:
    """The runs recorded in ``path``; none if it does not exist.

    Raises InputError for a line that is not JSON or lacks one of ``keys``.
    """
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            _ = [row[key] for key in keys]
        except (ValueError, LookupError, TypeError) as error:
            raise InputError(
                f"{path}, line {number}", got=repr(line[:40]), wanted="the JSON line of a finished run",
                do="remove the line, or name another file by --out",
            ) from error  # fmt: skip
        rows.append(row)
    return rows


def append(path: Path, row: dict[str, Any]) -> None:
    """Add a finished run; a kill leaves the file with it or without it."""
    lines = [*read(path), row]
    atomic_write(path, "".join(json.dumps(line) + "\n" for line in lines))
