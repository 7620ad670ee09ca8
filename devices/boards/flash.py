"""A board's flash as a place that is written at run time: erase units, times and wear.

Flash is erased in whole units (pages or sectors) and programmed in smaller ones, and every unit
survives a stated number of erases. Times are the maker's typical ones unless the profile says
otherwise; the processor's own copying is not in them.
"""

import math
from dataclasses import dataclass

from devices.errors import InputError


@dataclass(frozen=True)
class Flash:
    """The flash of one board.

    size_bytes        0 where the flash is external and its size is the board maker's choice
    external          whether it is a chip of its own, next to the microcontroller
    erase_bytes       one erase unit; of a part that mixes sizes, the one most of the flash is made of
    program_bytes     what one program operation writes; an erase unit holds a whole number of them
    erase_cycles      erases that each unit survives, the guaranteed minimum
    source            where the figures were read
    erase_ms          time to erase one unit, None where unknown
    program_us        time of one program operation, None where unknown
    read_bytes_per_s  the fastest sequential reading, None where unknown
    part              the chip assumed where the flash is external, "" for flash on the chip
    start             the address from which the core reads it, None where it cannot or that is unknown
    mapped_bytes      what the core reads from there of an external chip, 0 where that is open
    boot_bytes        of its start, taken by the maker's boot stage: programs begin behind
    boot_words        that the boot stage looks for behind a program's vectors
    """

    size_bytes: int
    external: bool
    erase_bytes: int
    program_bytes: int
    erase_cycles: int
    source: str
    erase_ms: float | None = None
    program_us: float | None = None
    read_bytes_per_s: int | None = None
    part: str = ""
    start: int | None = None
    mapped_bytes: int = 0
    boot_bytes: int = 0
    boot_words: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self._check_positive()
        self._check_units()
        self._check_part()
        self._check_mapped()

    @property
    def program_room(self) -> int:
        """Bytes for a program that the core runs where it lies, without the boot stage; 0 where unknown."""
        return 0 if self.start is None else max(0, self._mapped_room - self.boot_bytes)

    @property
    def _mapped_room(self) -> int:
        """What the core reads from its start: what is mapped of an external chip, else all; 0 if open."""
        return min(filter(None, (self.size_bytes, self.mapped_bytes)), default=0)

    def erase_units(self, n: int) -> int:
        """Erase units that ``n`` bytes take, the last one perhaps in part.

        Raises:
            InputError: ``n`` is negative.
        """
        return _ceil_div(_byte_count(n), self.erase_bytes)

    def read_seconds(self, n: int) -> float | None:
        """Time to read ``n`` bytes at the fastest rate, None where that rate is unknown."""
        _byte_count(n)
        return None if self.read_bytes_per_s is None else n / self.read_bytes_per_s

    def write_seconds(self, n: int) -> float | None:
        """Time to erase the units of ``n`` bytes and program them, None where a time is unknown."""
        units, operations = self.erase_units(n), _ceil_div(n, self.program_bytes)
        if self.erase_ms is None or self.program_us is None:
            return None
        return units * self.erase_ms / 1e3 + operations * self.program_us / 1e6

    def life_in_writes(self, n: int, room_bytes: int) -> int:
        """How often ``n`` bytes can be written if ``room_bytes`` of flash wear evenly.

        The room holds ``room_bytes // (erase_units(n) * erase_bytes)`` copies of the data, each in
        erase units of its own. Writing them in turn wears every unit alike, so each copy can be
        written ``erase_cycles`` times. Room for less than one copy: 0 writes.

        Raises:
            InputError: ``n`` is 0, or a count is negative.
        """
        _byte_count(room_bytes)
        copy_bytes = self.erase_units(n) * self.erase_bytes
        if not copy_bytes:
            raise InputError("bytes to write", got=n, wanted="1 or more", do="write something")
        return room_bytes // copy_bytes * self.erase_cycles

    def _check_positive(self) -> None:
        for name in (
            "erase_bytes", "program_bytes", "erase_cycles", "erase_ms", "program_us", "read_bytes_per_s",
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(
                    f"flash: {name}", got=value, wanted="a number above 0", do="correct the figure"
                )

    def _check_units(self) -> None:
        if self.erase_bytes % self.program_bytes:
            raise InputError(
                "flash: program_bytes",
                got=self.program_bytes,
                wanted=f"a divisor of erase_bytes = {self.erase_bytes}",
                do="correct one of the two",
            )
        if self.size_bytes and self.erase_bytes > self.size_bytes:
            raise InputError(
                "flash: erase_bytes",
                got=self.erase_bytes,
                wanted=f"at most the flash's {self.size_bytes} bytes",
                do="correct erase_bytes or flash_kib",
            )

    def _check_part(self) -> None:
        if self.external and not self.part:
            raise InputError(
                "flash: part",
                got="no name",
                wanted="the flash chip the figures are of, because flash_external = true",
                do="name it",
            )
        if self.part and not self.external:
            raise InputError(
                "flash: part",
                got=repr(self.part),
                wanted="no part where the flash is on the chip",
                do="drop the key or set flash_external = true",
            )

    def _check_mapped(self) -> None:
        if self.mapped_bytes and not self.external:
            raise InputError(
                "flash: mapped_kib",
                got=self.mapped_bytes // 1024,
                wanted="no such key where the flash is on the chip: all of it is mapped",
                do="drop the key or set flash_external = true",
            )
        size = self._mapped_room
        if self.start is not None and size and not self.boot_bytes < size <= 2**32 - self.start:
            raise InputError(
                "flash: start",
                got=f"{self.start:#x} with {size} bytes, {self.boot_bytes} of them for booting",
                wanted="room for a program, inside 32-bit addresses",
                do="correct start, boot_bytes or the size",
            )


def _ceil_div(n: int, unit: int) -> int:
    return -(-n // unit)


def _byte_count(n: int) -> int:
    if n < 0:
        raise InputError("bytes of flash", got=n, wanted="0 or more", do="correct the count")
    return n
