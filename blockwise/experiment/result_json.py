"""The result as JSON: what other programs read, and what later versions can still open."""

import json
import math
import os
from pathlib import Path
from typing import Any

from blockwise.experiment.result import SCHEMA_VERSION, Result
from blockwise.system.files import atomic_write
from blockwise.system.plain import made
from devices.errors import InputError

LONG_LISTS = ("timeline", "tensors", "layers")
"""Of a regime: a row for each operation, tensor and layer of its step."""
MARK = "\0list "
"""Stands for a list until it is put in; no name has such a letter."""

_row = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode

SUPPORTED_VERSIONS = (SCHEMA_VERSION,)


def dumps(result: Result) -> str:
    """The versioned JSON text, one trailing newline. NaN and infinities, not JSON, become null.

    Each row of a long list stands on a line of its own: less to write, and faster.
    """
    try:
        return _text(result.to_json())
    except ValueError:  # of a number that JSON does not spell
        return _text(_finite(result.to_json()))


def _text(data: Any) -> str:
    lists: list[str] = []
    for regime in data["regimes"]:
        for name in LONG_LISTS:
            lists.append(_lines(regime[name]))
            regime[name] = f"{MARK}{len(lists) - 1}"
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    for number, lines in enumerate(lists):
        text = text.replace(json.dumps(f"{MARK}{number}"), lines, 1)
    return text


def _lines(rows: list[Any]) -> str:
    inner = ",\n".join(f"        {_row(row)}" for row in rows)
    return f"[\n{inner}\n      ]" if rows else "[]"


def write(result: Result, path: str | os.PathLike[str]) -> None:
    """Write :func:`dumps` to ``path``, completely or not at all. Raises WriteError."""
    atomic_write(path, dumps(result))


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON form of a result. Raises InputError if this version reads none there, or it is damaged."""
    data = _versioned(path)
    _result(data, path)
    return data


def _versioned(path: str | os.PathLike[str]) -> dict[str, Any]:
    subject = f"result {os.fspath(path)}"
    data = _parsed(Path(path), subject)
    version = data.get("schema_version") if isinstance(data, dict) else None
    # true == 1 in Python, yet it is no version.
    if not isinstance(data, dict) or type(version) is not int or version not in SUPPORTED_VERSIONS:
        raise InputError(
            subject,
            got=f"schema_version {version!r}",
            wanted=f"one of {', '.join(map(str, SUPPORTED_VERSIONS))}",
            do="write it again with this version of Blockwise",
        )
    return data


def load(path: str | os.PathLike[str]) -> Result:
    """The result that :func:`write` wrote. Raises InputError as :func:`read` does.

    What was added since it was written has its default; what this version does not know is left out.
    """
    return _result(_versioned(path), path)


def _result(data: dict[str, Any], path: str | os.PathLike[str]) -> Result:
    try:
        result: Result = made(Result, data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"result {os.fspath(path)}", got=f"another structure ({reason})",
            wanted="the file as the run wrote it", do="restore it, or run again",
        ) from error  # fmt: skip
    return result


def _parsed(path: Path, subject: str) -> object:
    wanted, do = "a readable result.json", "name the result.json of a finished run"
    try:
        data: object = json.loads(path.read_text(encoding="utf-8"))
        return data
    except OSError as error:
        raise InputError(subject, got=error.strerror, wanted=wanted, do=do) from error
    except (ValueError, RecursionError) as error:  # neither UTF-8 nor JSON, or nested without end
        raise InputError(subject, got=f"not JSON ({error})", wanted=wanted, do=do) from error


def _finite(value: object) -> object:
    """``value`` with None for floats that JSON cannot spell: a diverged loss is a result too."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
