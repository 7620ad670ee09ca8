"""The planner's own view of buffers: arrays of bytes, in times that are numbered densely.

Two buffers meet if and only if a moment exists at which both live, and the moments that matter are
those at which nothing can be added: just before the first end that follows a start. Numbering these
moments 0, 1, ... and describing each lifetime by them loses nothing, makes time short, and shows
which buffers outlive all others of a group.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from devices.memory.arena.buffers import Buffer

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Items:
    """Buffers with bytes and time, alive in [lower, upper); offsets are multiples of ``alignment``."""

    size: Integers
    lower: Integers
    upper: Integers
    alignment: int = 1

    def __len__(self) -> int:
        return len(self.size)

    def __getitem__(self, chosen: NDArray[np.bool_] | Integers) -> "Items":
        return Items(self.size[chosen], self.lower[chosen], self.upper[chosen], self.alignment)

    @cached_property
    def padded(self) -> Integers:
        """Bytes from an item's offset to the first offset behind it."""
        return -(-self.size // self.alignment) * self.alignment

    @property
    def tail(self) -> Integers:
        """Bytes of padding, which the uppermost item does without."""
        return self.padded - self.size

    @cached_property
    def moments(self) -> int:
        """How many moments there are, once the times are dense."""
        return int(self.upper.max(initial=0))

    @cached_property
    def live(self) -> Integers:
        """Padded bytes alive at each moment; times must be dense."""
        changes = np.zeros(self.moments + 1, np.int64)
        np.add.at(changes, self.lower, self.padded)
        np.subtract.at(changes, self.upper, self.padded)
        return np.cumsum(changes)[:-1]

    @cached_property
    def tallest_tail(self) -> Integers:
        """Most padding of one item alive at each moment."""
        most = np.zeros(self.moments, np.int64)
        for size, lower, upper in zip(self.tail, self.lower, self.upper, strict=True):
            if size:
                np.maximum(most[lower:upper], size, out=most[lower:upper])
        return most

    @property
    def peak(self) -> int:
        """What every plan needs: padded bytes that live together, all but the uppermost's padding."""
        return int((self.live - self.tallest_tail).max(initial=0))

    def height(self, offsets: Integers) -> int:
        """Bytes up to the end of the last item."""
        return int((offsets + self.size).max(initial=0))


def items_of(buffers: Sequence[Buffer], alignment: int) -> Items:
    """The buffers in the same order, with dense times."""
    size, lower, upper = np.array([(b.size, b.lower, b.upper) for b in buffers], np.int64).T
    return dense(Items(size, lower, upper, alignment))


def dense(items: Items) -> Items:
    """The same items, with time counted in the moments that matter."""
    count = len(items)
    order = np.argsort(np.concatenate([items.upper, items.lower]), kind="stable")  # ends come first
    is_start = order >= count
    closes = np.zeros(2 * count, np.int64)
    closes[1:] = is_start[:-1] & ~is_start[1:]
    moment = np.empty(2 * count, np.int64)
    moment[order] = np.cumsum(closes)
    return Items(items.size, moment[count:], moment[:count], items.alignment)
