"""A project's folder: written whole or not at all, and replaced only where nothing in it is anyone else's."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import uuid4

from blockwise.system.files import WriteError, atomic_write, make_folder
from devices.errors import InputError

MANIFEST = "manifest.json"
"""Names and SHA-256 of the files that were written, by which the folder is known to be a project."""

PRODUCTS = frozenset(
    {
        "main.elf", "check.elf", "main_host", "check_host", "check.in", "check.out", "restored.out",
        "stack.out", "fault.out", "result.json", "report.html", "instructions.svg", "instructions.png",
    }
)  # fmt: skip
"""What builds, checks and reports leave there; a training that ``main_host`` saved is its user's own."""


def check_folder(out: Path) -> None:
    """Raise InputError unless ``out`` is free, empty, or a project without anything of its user's own.

    Nor may it be the working directory, or around it: a folder in its place would be another one.
    """
    found = _stranger(out) or _around(out)
    if found:
        raise InputError(
            f"--out {out}", got=found, wanted="a new or empty folder, or a project as this command wrote it",
            do="name another folder",
        )  # fmt: skip
    make_folder(out.absolute().parent, "--out")


def _stranger(out: Path) -> str:
    """What speaks against writing there; empty if nothing does."""
    if not out.is_dir():
        return "a file" if out.exists() or out.is_symlink() else ""
    names = list(_names(out))
    if not names:
        return ""
    written = _written(out)
    if written is None:
        return "a folder that holds something else"
    for name in names:
        if name not in written and name not in PRODUCTS and name != MANIFEST:
            return f"a project that also holds {name}"
        if name in written and _digest((out / name).read_bytes()) != written[name]:
            return f"a project whose {name} was changed"
    return ""


def _around(out: Path) -> str:
    if not Path.cwd().is_relative_to(out.resolve()):
        return ""
    return "the working directory" if out.resolve() == Path.cwd() else "a folder around the working directory"


def _names(out: Path) -> Iterator[str]:
    return (path.relative_to(out).as_posix() for path in sorted(out.rglob("*")) if not path.is_dir())


def _written(out: Path) -> dict[str, str] | None:
    try:
        found = json.loads((out / MANIFEST).read_text("utf-8"))["files"]
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_folder(out: Path, content: Mapping[str, str]) -> None:
    """Put a folder of ``content``, text by path, in the place of ``out``. Raises WriteError.

    A link to a folder is followed, as of files.
    """
    out = out.resolve()
    made, old = (out.parent / f".{out.name}.{uuid4().hex}.{end}" for end in ("tmp", "old"))
    told = {name: _digest(text.encode()) for name, text in content.items()}
    try:
        for name, text in (dict(content) | {MANIFEST: json.dumps({"files": told}, indent=1) + "\n"}).items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            atomic_write(made / name, text)
        if out.exists():
            out.replace(old)
        made.replace(out)
    except OSError as error:
        if old.exists() and not out.exists():
            old.replace(out)
        raise WriteError(str(out), error, 0) from error
    finally:
        for folder in (made, old):
            shutil.rmtree(folder, ignore_errors=True)
