"""A board as the command line names it: a profile, and perhaps another reserve."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from devices.boards import profile
from devices.boards.profile import Device
from devices.errors import InputError


def built_in(reserve_kib: int | None = None) -> list[Device]:
    """All whose longest run of RAM is more than the reserve, the least usable RAM first."""
    found = []
    for name in profile.catalogue():
        with suppress(InputError):
            found.append(load(name, reserve_kib))
    return sorted(found, key=lambda device: (device.usable_bytes, device.name))


def load(board: str | Path | Device, reserve_kib: int | None = None) -> Device:
    """The board, or that of this name or profile path, ``reserve_kib`` of its RAM kept free if given.

    Raises InputError for an unknown board, or a reserve that leaves no room in its longest run.
    """
    device = board if isinstance(board, Device) else profile.load(board)
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
