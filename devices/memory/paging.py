"""What paging state between RAM and flash costs: bytes a step, seconds a step, and the flash's life.

Blocks are written in the same order in every step, so the flash is best used as a ring: each block's
new version goes behind the last one written, and the oldest erase unit is erased when nothing in it is
needed any more. Every unit then wears alike. The ring needs one erase unit beyond the state: what is
being written and what is dying do not end where units end.
"""

from dataclasses import dataclass

from devices.boards.flash import Flash
from devices.boards.profile import Device
from devices.program.schedule import Schedule


@dataclass(frozen=True)
class Paging:
    """The flash traffic of one training step. Times and life are None where the board's are unknown."""

    read_bytes: int
    written_bytes: int
    read_seconds: float | None
    write_seconds: float | None  # erasing, in proportion to the bytes, and programming
    life_steps: int | None  # steps until the flash is worn out; 0 where the ring has no room
    ring_bytes: int  # what the state takes in flash, whole erase units
    flash_bytes: int  # of the board, 0 where the size of an external one is open
    mapped_bytes: int = 0  # of weights that are read in place from the same flash

    @property
    def fits(self) -> bool:
        """Whether the flash can hold the ring beside them (the program comes on top); an open size can."""
        return not self.flash_bytes or self.ring_bytes + self.mapped_bytes <= self.flash_bytes


def paging(schedule: Schedule, device: Device) -> Paging | None:
    """The paging of ``schedule`` on ``device``; None if it does not page.

    Everything that is written lies in flash between its turns: what a step writes is the state.
    """
    read, written = schedule.flash_read_bytes, schedule.flash_written_bytes
    if not read and not written:
        return None
    flash, size, mapped = device.flash, device.flash_bytes, schedule.mapped_bytes
    return Paging(
        read_bytes=read,
        written_bytes=written,
        read_seconds=flash.read_seconds(read) if flash else None,
        write_seconds=_write_seconds(flash, written) if flash else None,
        life_steps=_life(flash, written, size - mapped) if flash and size else None,
        ring_bytes=ring_bytes(written, flash.erase_bytes if flash else 0),
        flash_bytes=size,
        mapped_bytes=mapped,
    )


def ring_bytes(state_bytes: int, erase_bytes: int) -> int:
    """What ``state_bytes`` take as a ring of erase units; 0 for ``erase_bytes``: the unit is unknown."""
    return (-(-state_bytes // erase_bytes) + 1) * erase_bytes if erase_bytes else state_bytes


def _write_seconds(flash: Flash, count: int) -> float | None:
    if flash.erase_ms is None or flash.program_us is None:
        return None
    erasing = count / flash.erase_bytes * flash.erase_ms / 1e3
    return erasing + -(-count // flash.program_bytes) * flash.program_us / 1e6


def _life(flash: Flash, state_bytes: int, size: int) -> int:
    """Each unit of the ``size`` bytes that the ring may go round can be filled ``erase_cycles`` times."""
    if ring_bytes(state_bytes, flash.erase_bytes) > size:
        return 0
    whole = size // flash.erase_bytes * flash.erase_bytes
    return flash.erase_cycles * whole // state_bytes
