"""The boards by name: the built-in profiles, and profiles of one's own by path.

A profile is one TOML file. Every figure in it names its source, and
:func:`devices.boards.profile_file.parse` refuses a file that is incomplete or that contradicts itself: a
wrong figure here is a wrong verdict later.
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from devices.boards.board import KIB, Device, Region
from devices.boards.flash import Flash
from devices.boards.profile_file import parse
from devices.errors import InputError, unknown_name

__all__ = [
    "KIB", "PROFILES", "TEMPLATE", "Device", "Flash", "Region", "by_any_name", "catalogue", "load", "parse",
    "read", "read_folder",
]  # fmt: skip

PROFILES = Path(__file__).parent / "profiles"
TEMPLATE = Path(__file__).parent / "template.toml"
"""A commented profile to be filled in; it loads as it is."""


def catalogue() -> dict[str, Device]:
    """The built-in boards by name. The files are read once; the dict is the caller's own."""
    return dict(_built_in())


def load(name_or_path: str | Path) -> Device:
    """The board of that name or alias, in any case, or the one described by that TOML file.

    Raises:
        InputError: no such board, or a file that cannot be read or does not describe one.
    """
    if isinstance(name_or_path, Path):
        return read(name_or_path)
    name, named = name_or_path.lower(), by_any_name(_built_in())
    if name in named:
        return named[name]
    if name.endswith(".toml") or os.path.isfile(name_or_path):
        return read(Path(name_or_path))
    near = get_close_matches(name, named, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    do = f"{hint}a path to a .toml profile works too"
    raise unknown_name("device", name_or_path, _built_in(), do)


def read(path: Path) -> Device:
    """The board that the file describes; raises :class:`InputError` if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows prepend a byte order mark
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "bytes that are not UTF-8"
        raise InputError(
            str(path),
            got=reason,
            wanted="a readable TOML file",
            do="check the path and its permissions",
        ) from error
    return parse(text, str(path))


def read_folder(folder: Path) -> dict[str, Device]:
    """The boards of every .toml file in `folder`, by name; a name used twice raises."""
    files = {path.name: read(path) for path in sorted(folder.glob("*.toml"))}
    by_any_name(files)
    return {device.name: device for device in files.values()}


def by_any_name(files: Mapping[str, Device]) -> dict[str, Device]:
    """The boards by name and by each alias, from the boards by file.

    Raises:
        InputError: a name or an alias is used twice.
    """
    owners: dict[str, str] = {}
    for file, device in files.items():
        for name in (device.name, *device.aliases):
            if name in owners:
                raise InputError(
                    f"{file}: name or alias {name!r}",
                    got=f"a name that {owners[name]} uses already",
                    wanted="each name once",
                    do="rename one of them",
                )
            owners[name] = file
    return {name: files[file] for name, file in owners.items()}


@cache
def _built_in() -> dict[str, Device]:
    return read_folder(PROFILES)
