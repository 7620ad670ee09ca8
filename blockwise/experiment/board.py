"""A board as the command line names it: a profile, and perhaps another reserve.

A run keeps its boards: what goes on with it, or exports it, takes what was kept. The file of a profile may
change or go, and a board that was made in Python has none.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from blockwise.system.files import atomic_write
from blockwise.system.plain import made, plain
from devices.boards import profile
from devices.boards.profile import Device
from devices.errors import InputError

KEPT = "boards.json"
"""In the folder of a run: its boards by the names that its configuration has."""


def built_in(reserve_kib: int | None = None) -> list[Device]:
    """All whose longest run of RAM is more than the reserve, the least usable RAM first."""
    found = []
    for name in profile.catalogue():
        with suppress(InputError):
            found.append(load(name, reserve_kib))
    return sorted(found, key=lambda device: (device.usable_bytes, device.name))


def load(board: str | Path | Device, reserve_kib: int | None = None, run: Path | None = None) -> Device:
    """The board, or that of this name or profile path, ``reserve_kib`` of its RAM kept free if given.

    Of what the run in the folder ``run`` kept under that name, that is taken. Raises InputError for an
    unknown board, or a reserve that leaves no room in its longest run.
    """
    device = board if isinstance(board, Device) else _kept(run, str(board)) or profile.load(board)
    if reserve_kib is None:
        return device
    if reserve_kib < 0:
        raise InputError("--reserve-kib", got=reserve_kib, wanted="at least 0", do="choose a larger number")
    largest = device.largest_contiguous_bytes // profile.KIB
    if reserve_kib >= largest:
        raise InputError(
            "--reserve-kib", got=reserve_kib, do="choose a smaller reserve or another board",
            wanted=f"less than {largest}, the longest run of {device.name}",
        )  # fmt: skip
    return replace(device, reserve_bytes=reserve_kib * profile.KIB)


def check_names(devices: Iterable[Device], flag: str = "--device") -> None:
    """Refuse boards of one name that are not the same: rows of a table are told apart by it.

    Raises InputError.
    """
    known: dict[str, Device] = {}
    for device in devices:
        if known.setdefault(device.name, device) != device:
            raise InputError(
                flag, got=f"two boards called {device.name}", wanted="each name once",
                do="give one of the profiles another name",
            )  # fmt: skip


def keep(boards: Mapping[str, Device], run: Path) -> None:
    """Write the boards of a run to its folder. Raises WriteError."""
    atomic_write(run / KEPT, json.dumps(plain(dict(boards)), indent=1, ensure_ascii=False) + "\n")


def _kept(run: Path | None, name: str) -> Device | None:
    """What the run in the folder ``run`` kept; nothing for another name, or of an earlier version."""
    path = (run or Path()) / KEPT
    if run is None or not path.exists():
        return None
    try:
        boards: dict[str, Device] = made(dict[str, Device], json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, InputError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:100]
        raise InputError(
            str(path), got=reason, wanted="the file as the run wrote it", do="restore it, or run again"
        ) from error
    return boards.get(name)
