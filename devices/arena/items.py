"""The planner's own view of buffers: arrays of whole units, in times that are numbered densely.

Two buffers meet if and only if a moment exists at which both live, and the moments that matter are
those at which nothing can be added: just before the first end that follows a start. Numbering these
moments 0, 1, ... and describing each lifetime by them loses nothing, makes time short, and shows
which buffers outlive all others of a group.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from devices.arena.buffers import Buffer, aligned

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Items:
    """Buffers with bytes and time: ``size`` in units of the alignment, alive in [lower, upper)."""

    size: Integers
    lower: Integers
    upper: Integers

    def __len__(self) -> int:
        return len(self.size)

    def __getitem__(self, chosen: NDArray[np.bool_] | Integers) -> "Items":
        return Items(self.size[chosen], self.lower[chosen], self.upper[chosen])

    @cached_property
    def moments(self) -> int:
        """How many moments there are, once the times are dense."""
        return int(self.upper.max(initial=0))

    @cached_property
    def live(self) -> Integers:
        """Units alive at each moment; times must be dense."""
        changes = np.zeros(self.moments + 1, np.int64)
        np.add.at(changes, self.lower, self.size)
        np.subtract.at(changes, self.upper, self.size)
        return np.cumsum(changes)[:-1]

    @property
    def peak(self) -> int:
        """Highest sum of live units."""
        return int(self.live.max(initial=0))


@dataclass(frozen=True)
class Knot:
    """Buffers that no stacking separates, above ``base`` units that are taken already."""

    base: int
    index: Integers  # of its items among all
    items: Items


def items_of(buffers: Sequence[Buffer], alignment: int) -> Items:
    """The buffers in the same order, in units of ``alignment`` bytes, with dense times."""
    size = np.array([aligned(b.size, alignment) // alignment for b in buffers], np.int64)
    lower, upper = (np.array(t, np.int64) for t in zip(*((b.lower, b.upper) for b in buffers), strict=True))
    return dense(Items(size, lower, upper))


def dense(items: Items) -> Items:
    """The same items, with time counted in the moments that matter."""
    count = len(items)
    order = np.argsort(np.concatenate([items.upper, items.lower]), kind="stable")  # ends come first
    is_start = order >= count
    closes = np.zeros(2 * count, np.int64)
    closes[1:] = is_start[:-1] & ~is_start[1:]
    moment = np.empty(2 * count, np.int64)
    moment[order] = np.cumsum(closes)
    return Items(items.size, moment[count:], moment[:count])


def untangle(items: Items) -> tuple[Integers, list[Knot]]:
    """Offsets of all that can be stacked without loss, and the knots that remain.

    What outlives everything else of its group goes to the bottom, in any order: whatever lies below
    it could move above it. The rest falls apart at the moments that nobody spans. Nested lifetimes,
    resident tensors among them, are placed perfectly by these two steps alone.
    """
    offsets = np.zeros(len(items), np.int64)
    knots: list[Knot] = []
    everything = Knot(0, np.arange(len(items)), items)
    groups = list(_apart(everything, np.ones(len(items), np.bool_), 0))
    while groups:
        group = groups.pop()
        whole = (group.items.lower == 0) & (group.items.upper == group.items.moments)
        if whole.any():
            sizes = group.items.size[whole]
            offsets[group.index[whole]] = group.base + np.cumsum(sizes) - sizes
            groups += _apart(group, ~whole, group.base + int(sizes.sum()))
        else:
            knots.append(group)
    return offsets, knots


def _apart(group: Knot, rest: NDArray[np.bool_], base: int) -> Iterator[Knot]:
    """What is left of ``group``, one part for each stretch of time that its items connect."""
    if not rest.any():
        return
    items = dense(group.items[rest])
    spans = np.zeros(items.moments + 1, np.int64)
    np.add.at(spans, items.lower + 1, 1)
    np.subtract.at(spans, items.upper, 1)
    cuts = np.flatnonzero(np.cumsum(spans)[1:-1] == 0) + 1
    part = np.searchsorted(cuts, items.lower, side="right")
    for number in range(len(cuts) + 1):
        mine = part == number
        yield Knot(base, group.index[rest][mine], dense(items[mine]))
