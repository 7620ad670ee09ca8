"""Two places at the end of flash that take turns in keeping a training: a power cut loses none of it.

A slot begins with a header, which is programmed last, and goes on with all tensors that outlive a step. While
one is written the other one stays whole. docs/firmware.md has the format.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from blockwise.firmware.arenas import Span
from blockwise.firmware.float_facts import FloatFacts
from devices.boards.flash import Flash
from devices.errors import InputError

if TYPE_CHECKING:
    from blockwise.firmware.program import Firmware

COUNT = 2
HEADER_BYTES = 32
"""Eight words, as c/persist/persist.c has them."""
BRINGS = ("unpack", "begins")
"""Operations that fetch first values from flash."""


@dataclass(frozen=True)
class Slots:
    """``header_bytes`` and ``payload_bytes`` are whole units of programming, ``slot_bytes`` whole sectors."""

    state_bytes: int
    erase_bytes: int
    program_bytes: int

    @property
    def header_bytes(self) -> int:
        """A unit is programmed once after an erase: the header has units of its own."""
        return _up(HEADER_BYTES, self.program_bytes)

    @property
    def payload_bytes(self) -> int:
        """The state, its last unit filled up."""
        return _up(self.state_bytes, self.program_bytes)

    @property
    def slot_bytes(self) -> int:
        """Of one slot."""
        return _up(self.header_bytes + self.payload_bytes, self.erase_bytes)

    @property
    def bytes(self) -> int:
        """Of both."""
        return COUNT * self.slot_bytes

    def steps_of_life(self, flash: Flash, every: int) -> int:
        """Steps until a sector has seen its guaranteed erases, with a save at every so many."""
        return COUNT * every * flash.erase_cycles


def slots_of(firmware: "Firmware") -> Slots | None:
    """Of firmware that saves; None for any other. Raises InputError for one without a board's flash."""
    if not firmware.save_every:
        return None
    flash = firmware.device.flash if firmware.device else None
    if flash is None:
        raise InputError(
            "--save-every", got="a board whose flash is not described", wanted="erase and program units",
            do="choose another board, or add [flash] to a profile of your own",
        )  # fmt: skip
    state = sum(tensor.bytes for tensor in firmware.resident)
    return Slots(state, flash.erase_bytes, flash.program_bytes)


def layout_of(firmware: "Firmware") -> int:
    """A number that tells one program's slots from another's: what is kept, in which order, and how.

    So do the settings by which steps go on from there, and the values that they read in flash, of which a
    slot has none.
    """
    kept = [f"{t.name} {t.bytes} {t.bits}" for t in firmware.resident]
    directions = getattr(firmware.arithmetic, "directions", None)
    settings = f"batch {firmware.batch}, jumps {firmware.jump_every}, directions {directions}"
    number = zlib.crc32("\n".join([firmware.regime, settings, *kept]).encode())
    for name, value in _read_in_flash(firmware):
        number = zlib.crc32(value.contiguous().numpy().tobytes(), zlib.crc32(name.encode(), number))
    return number


def _read_in_flash(firmware: "Firmware") -> Iterator[tuple[str, Tensor]]:
    """What steps read where it lies, and what a block that has its turn later begins with."""
    yield from firmware.constants.items()
    arithmetic, schedule = firmware.arithmetic, firmware.schedule
    if not isinstance(arithmetic, FloatFacts):
        return
    later = {name for x in schedule.operations if x.action in BRINGS for name in x.writes}
    for name, tensor in schedule.tensors.items():
        if name in arithmetic.first and (name in later or tensor.mapped):
            yield name, arithmetic.first[name]


def check_save_every(every: int | None) -> int:
    """The number of steps between saves; 0 if none are wanted. Raises InputError below 1."""
    if every is None:
        return 0
    if every < 1:
        raise InputError("--save-every", got=every, wanted="1 step or more", do="choose a number of steps")
    return every


def parted(flash: Span, origin: int, slots: Slots, board: str) -> tuple[Span, Span]:
    """What of a flash is left for the program, and the slots, in whole sectors counted from ``origin``.

    Raises InputError where nothing is left.
    """
    end = origin + (flash.end - origin) // slots.erase_bytes * slots.erase_bytes
    start = end - slots.bytes
    if start <= flash.start:
        raise InputError(
            f"--save-every on {board}",
            got=f"2 slots of {slots.slot_bytes:,} bytes, in sectors of {slots.erase_bytes:,}",
            wanted=f"less than the flash's {flash.size_bytes:,}, beside the program",
            do="choose a smaller network, another board, or no saving",
        )  # fmt: skip
    return Span(flash.name, flash.start, start - flash.start), Span("SLOTS", start, slots.bytes)


def _up(n: int, unit: int) -> int:
    return -(-n // unit) * unit
