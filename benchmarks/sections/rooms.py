"""The rooms of the house: what each is, and what it imports."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from sections.markdown import table
from sections.recorded import ROOT

PACKAGES = ("devices", "blockwise")
MEMBER = 2
"""Components of a dotted name that say a room: blockwise.quant, devices.planning."""


def rooms() -> str:
    """One row a room: the first sentence about it, and the rooms that its modules import."""
    files = {package: sorted((ROOT / package).rglob("*.py")) for package in PACKAGES}
    imported: dict[str, set[str]] = {}
    for path in (path for found in files.values() for path in found):
        room = _room(path)
        imported.setdefault(room, set()).update(_imports(path))
    rows = [
        [f"`{room}`", _sentence(room), ", ".join(f"`{name}`" for name in sorted(found - {room})) or "-"]
        for room, found in imported.items()
        if room not in PACKAGES
    ]
    lines = table(["room", "what it is", "imports"], sorted(rows, key=lambda row: (row[0][1] == "b", row[0])))
    return lines.replace("--:", "---")


def _room(path: Path) -> str:
    parts = [part for part in path.relative_to(ROOT).with_suffix("").parts if part != "__init__"]
    return ".".join(parts[:MEMBER])


def _imports(path: Path) -> Iterator[str]:
    """The rooms that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            for name in node.names:
                yield from _as_room(f"{node.module}.{name.name}")


def _as_room(dotted: str) -> Iterator[str]:
    """Its first two components, if they are a room: names of the packages themselves are none."""
    room = ".".join(dotted.split(".")[:MEMBER])
    place = ROOT.joinpath(*room.split("."))
    if place.is_dir() or place.with_suffix(".py").is_file():
        yield room


def _sentence(room: str) -> str:
    place = ROOT.joinpath(*room.split("."))
    text = (place / "__init__.py" if place.is_dir() else place.with_suffix(".py")).read_text("utf-8")
    told = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    told = re.sub(r":\w+:`~?[\w.]*?(\w+)`", r"`\1`", told.replace("``", "`"))
    return told.removesuffix(".")
