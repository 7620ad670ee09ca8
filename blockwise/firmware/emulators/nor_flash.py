"""NOR flash as a program sees it: whole sectors are erased to ones, whole units programmed, once an erase.

An operation takes time, in which power may go: then it stays as far as it came, and the bits that were on
their way have any value between their old one and their new one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from blockwise.firmware.arenas import MemoryMap, Span
from devices.boards.profile import Device

ERASED = 0xFF
PIECES = {"erase": 16, "program": 4}
"""In how many pieces an operation is done, one for each time that a program asks whether it is."""


@dataclass
class Operation:
    """Bytes on their way: from ``at`` on, of ``wanted`` those before ``done`` are there."""

    kind: str  # of PIECES
    at: int
    wanted: bytes
    done: int = 0


@dataclass
class NorFlash:
    """The slots of a board; ``content`` outlives its power.

    ``begun`` are the operations so far, by kind and offset. ``refused`` says what a program must not do.
    """

    span: Span
    erase_bytes: int
    program_bytes: int
    begun: list[tuple[str, int]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.content = bytearray([ERASED]) * self.span.size_bytes
        self.running: Operation | None = None

    def erase(self, address: int) -> bool:
        """Begin to erase the sector at an address. False where none begins."""
        at = address - self.span.start
        if not self._begins(at, self.erase_bytes, self.erase_bytes):
            return self._refuse(f"an erase at {address:#010x}, where no sector begins")
        return self._begin(Operation("erase", at, bytes([ERASED]) * self.erase_bytes))

    def program(self, address: int, unit: bytes) -> bool:
        """Begin to program the unit at an address. False where none begins, or a bit would have to be set."""
        at = address - self.span.start
        if not self._begins(at, len(unit), self.program_bytes):
            return self._refuse(f"{len(unit)} bytes programmed at {address:#010x}, which is no unit")
        old = self.content[at : at + len(unit)]
        if any(new & ~bits for new, bits in zip(unit, old, strict=True)):
            return self._refuse(f"a bit set by programming at {address:#010x}")
        if any(bits != ERASED for bits in old):
            return self._refuse(f"a unit programmed twice at {address:#010x}")
        return self._begin(Operation("program", at, unit))

    def go_on(self) -> tuple[int, bytes] | None:
        """One piece of what runs: its address and bytes, which are there now; None when nothing runs."""
        now = self.running
        if now is None:
            return None
        size = -(-len(now.wanted) // PIECES[now.kind])
        piece, at = now.wanted[now.done : now.done + size], now.at + now.done
        self.content[at : at + len(piece)] = piece
        now.done += len(piece)
        if now.done == len(now.wanted):
            self.running = None
        return self.span.start + at, piece

    def appear(self, write: Callable[[int, bytes], None]) -> None:
        """In a memory, at power-on."""
        write(self.span.start, bytes(self.content))

    def cut(self, random: Random) -> str:
        """Power goes. Of what ran the rest is left as it was, half done or nearly done; returns what ran."""
        now, self.running = self.running, None
        if now is None:
            return ""
        size = len(now.wanted) - now.done
        noise = int.from_bytes(random.randbytes(size), "little")
        share = random.choice((0, noise, noise | int.from_bytes(random.randbytes(size), "little")))
        at = now.at + now.done
        old = int.from_bytes(self.content[at : at + size], "little")
        new = int.from_bytes(now.wanted[now.done :], "little")
        self.content[at : at + size] = (old & ~share | new & share).to_bytes(size, "little")
        return now.kind

    def _begins(self, at: int, size: int, unit: int) -> bool:
        return size == unit and at % unit == 0 and 0 <= at <= self.span.size_bytes - unit

    def _begin(self, operation: Operation) -> bool:
        if self.running is not None:
            return self._refuse("an operation before the last one was done")
        self.running = operation
        self.begun.append((operation.kind, operation.at))
        return True

    def _refuse(self, why: str) -> bool:
        self.refused.append(why)
        return False


def flash_of(device: Device, memory: MemoryMap) -> NorFlash | None:
    """New, of a board whose memory has slots."""
    if memory.slots is None:
        return None
    assert device.flash is not None  # or there would be no slots
    return NorFlash(memory.slots, device.flash.erase_bytes, device.flash.program_bytes)
