"""What an arena holds: buffers with a size and a lifetime, and what came of placing them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from heapq import heappop, heappush

from devices.errors import InputError
from devices.program.schedule import Schedule

MAX_NUMBER = 2**48
"""Sizes and times stay below this, so that no sum of them leaves 64 bits."""


@dataclass(frozen=True)
class Buffer:
    """``size`` bytes that are needed in the half-open span [lower, upper) of time.

    Without bytes or without time it occupies nothing.
    """

    name: str
    size: int
    lower: int
    upper: int

    def __post_init__(self) -> None:
        if not 0 <= self.size < MAX_NUMBER:
            raise InputError(
                f"buffer {self.name!r}: size", got=self.size, wanted="0 to 2^48 bytes", do="correct the size"
            )
        if self.lower > self.upper or max(abs(self.lower), abs(self.upper)) >= MAX_NUMBER:
            raise InputError(
                f"buffer {self.name!r}: lifetime", got=f"[{self.lower}, {self.upper})",
                wanted="a start before its end, both below 2^48", do="correct the lifetime",
            )  # fmt: skip

    @property
    def empty(self) -> bool:
        """Whether it occupies nothing, wherever it lies."""
        return self.size == 0 or self.lower == self.upper


@dataclass(frozen=True)
class Arena:
    """Offsets in one stretch of memory. Sizes in bytes; every offset is a multiple of ``alignment``."""

    buffers: tuple[Buffer, ...]
    offsets: Mapping[str, int]
    alignment: int
    bound: int  # peak of live bytes, all sizes but that of the uppermost rounded up: no plan is lower
    proven_bound: int  # the same, or more where search or solver proved that no plan is lower than this
    method: str  # the rule, search or solver that found the highest part of the plan

    @cached_property
    def height(self) -> int:
        """Bytes from the arena's start to the end of its last buffer."""
        return max((self.offsets[b.name] + b.size for b in self.buffers if not b.empty), default=0)

    @property
    def gap(self) -> float:
        """How far the height is above the peak of live bytes, as a fraction of it."""
        return (self.height - self.bound) / self.bound if self.bound else 0.0

    @property
    def proven(self) -> bool:
        """Whether no plan can be lower than this one."""
        return self.height == self.proven_bound


def aligned(size: int, alignment: int) -> int:
    """``size`` rounded up to a multiple of ``alignment``; both in bytes."""
    return -(-size // alignment) * alignment


def buffers_of(schedule: Schedule, alignment: int = 8) -> tuple[Buffer, ...]:
    """Every tensor of ``schedule``, alive from its first operation to the end of its last one.

    A tensor's padding to ``alignment`` bytes is its own, as in the ledger.
    """
    return tuple(
        Buffer(name, schedule.tensors[name].aligned_bytes(alignment), first, last + 1)
        for name, (first, last) in schedule.lifetimes.items()
    )


def peak_of(buffers: tuple[Buffer, ...], alignment: int) -> int:
    """What every plan needs: the highest sum of live bytes.

    Each size is rounded up to ``alignment``, except that of one buffer, which may lie on top.
    """
    ends: list[tuple[int, int]] = []  # heaps of what lives, by its end and by its padding
    paddings: list[tuple[int, int]] = []
    live = peak = 0
    for buffer in sorted((b for b in buffers if not b.empty), key=lambda b: b.lower):
        while ends and ends[0][0] <= buffer.lower:
            live -= heappop(ends)[1]
        size = aligned(buffer.size, alignment)
        live += size
        heappush(ends, (buffer.upper, size))
        heappush(paddings, (buffer.size - size, buffer.upper))
        while paddings[0][1] <= buffer.lower:
            heappop(paddings)
        peak = max(peak, live + paddings[0][0])
    return peak
