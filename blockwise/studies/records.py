"""A study's finished runs: one JSON line each, in a file that is only ever replaced as a whole."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blockwise.quant.precision import FLOAT32
from blockwise.studies.augmentation import told_by_name
from blockwise.studies.kinds import KINDS, Kind, wrong
from blockwise.system.files import atomic_write, reason
from devices.errors import InputError

FIRST_REVISION, REVISION = 1, 2
"""Of training in float regimes: raised whenever the same conditions end with other weights.

In the second the learning rate is read in the middle of a step, and trained steps move by shares of
themselves.
"""

SCHEMA = 1
"""Of a line: raised whenever what stands in it means something else. Lines without one are of the first."""

SAME = ("study", "protocol", "model", "width", "norm", "epochs", "batch_size")
"""Conditions that all lines of one table share, beside the data."""

FORMERLY = {
    "residual": "codes", "revision": FIRST_REVISION, "precision": FLOAT32, "last_epochs": None, "init": None,
    "distill": None, "skip_heads": None,
    "jump_every": 1, "augment": None, "contents": None,
}  # fmt: skip
"""Conditions that older lines do not name: what they were when there was no choice. Of sets known by a name
the augmentation is theirs; which samples a set had is not known of older lines."""


@dataclass(frozen=True)
class Form:
    """What lines of a file have: what older ones do not name, and of which kinds values are."""

    formerly: Mapping[str, Any]
    kinds: Mapping[str, Kind]


STUDY = Form(FORMERLY, KINDS)


def read(path: Path, keys: Iterable[str] = ("key",), form: Form = STUDY) -> list[dict[str, Any]]:
    """The runs recorded in ``path``; none if it does not exist. Older lines get what was so formerly.

    Raises InputError for a file that cannot be read, and a line that is not JSON, lacks one of ``keys``, has
    a value of another kind or is of another schema.
    """
    rows = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        try:
            told = json.loads(line)
            row = {**form.formerly, **told}
        except (ValueError, TypeError, RecursionError) as error:
            raise _refused(path, number, repr(line[:40])) from error
        if row.get("schema", 1) != SCHEMA:
            raise InputError(
                f"{path}, line {number}", got=f"a record of schema {row['schema']}",
                wanted=f"schema {SCHEMA}, the one of this version",
                do="go on with the version that wrote it, or name another file by --out",
            )  # fmt: skip
        names = {name: row.get(name, "") for name in ("key", "data")}
        unnamed = [name for name, value in names.items() if not isinstance(value, str)]
        if unnamed:
            raise _refused(path, number, f"{unnamed[0]} {names[unnamed[0]]!r}")
        if "augment" in form.formerly and "augment" not in told:
            row["augment"] = told_by_name(row)
        if found := wrong(row, form.kinds):
            raise _refused(path, number, found)
        lacking = [key for key in keys if key not in row]
        if lacking:
            raise _refused(path, number, f"{line[:40]!r} without {lacking[0]!r}")
        rows.append(row)
    return rows


def _refused(path: Path, number: int, got: str) -> InputError:
    return InputError(
        f"{path}, line {number}", got=got, wanted="the JSON line of a finished run",
        do="remove the line, or name another file by --out",
    )  # fmt: skip


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise InputError(
            f"--out {path}", got=reason(error) if isinstance(error, OSError) else "bytes that are not UTF-8",
            wanted="a file of finished runs, or none yet", do="name another file",
        ) from error  # fmt: skip


def ended(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs that have an error: all but those that diverged."""
    return [row for row in rows if row["test_error"] is not None]


def append(path: Path, row: dict[str, Any], form: Form = STUDY) -> None:
    """Add a finished run; a kill leaves the file with it or without it."""
    write(path, [*read(path, form=form), row])


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """The file as a whole, a line each."""
    atomic_write(path, "".join(json.dumps(row) + "\n" for row in rows))
