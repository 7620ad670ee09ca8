"""Taking buffers apart into what can be stacked without loss and the knots that remain.

What outlives everything else of its group goes to the bottom, in any order: whatever lies below it
could move above it. One of them, that with the most padding, may as well lie on top of the group,
where its padding is not needed. The rest falls apart at the moments that nobody spans. Nested
lifetimes, resident tensors among them, are placed perfectly by these steps alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.memory.arena.items import Integers, Items, dense

NOBODY = -1
"""In place of the group around one that lies free."""


@dataclass(frozen=True)
class Knot:
    """Buffers that no stacking separates, beside ``base`` bytes of buffers that outlive them."""

    index: Integers  # of its items among all
    items: Items
    base: int
    tail: int  # the most padding among those that outlive it

    def height(self, own: int) -> int:
        """Of the whole, where this knot's own plan has ``own`` bytes."""
        return self.base + _less(own, self.tail, self.items.alignment)

    def room(self, height: int) -> int:
        """The highest own plan with which the whole ends at ``height``."""
        free = height - self.base
        return max(free, (free + self.tail) // self.items.alignment * self.items.alignment)


@dataclass(frozen=True)
class Group:
    """Items that live throughout, the one with the most padding last; or a knot."""

    parent: int  # the group around it, which comes before it; NOBODY if none
    stacked: Integers
    knot: Knot | None = None


def untangle(items: Items) -> list[Group]:
    """The groups of all items, each after the one around it."""
    groups: list[Group] = []
    waiting = [(NOBODY, np.arange(len(items)), items, 0, 0)]  # parent, which of all, these, base, tail
    while waiting:
        parent, index, inner, base, tail = waiting.pop()
        for mine, part in _apart(inner):
            whole = (part.lower == 0) & (part.upper == part.moments)
            if not whole.any():
                knot = Knot(index[mine], part, base, tail)
                groups.append(Group(parent, np.zeros(0, np.int64), knot))
                continue
            stacked = _most_padded_last(index[mine][whole], items)
            above = base + int(items.padded[stacked].sum())
            deepest = max(tail, int(items.tail[stacked[-1]]))
            waiting.append((len(groups), index[mine][~whole], part[~whole], above, deepest))
            groups.append(Group(parent, stacked))
    return groups


def assemble(groups: Sequence[Group], items: Items, plans: Mapping[int, Integers]) -> Integers:
    """Offsets of all items; ``plans`` has those of each knot by its group's number."""
    inner, start = [0] * len(groups), [0] * len(groups)  # height of what a group surrounds; its offset
    for number, group in reversed(list(enumerate(groups))):
        if group.knot:
            own = group.knot.items.height(plans[number])
        else:
            tail = int(items.tail[group.stacked[-1]])
            own = int(items.padded[group.stacked].sum()) + _less(inner[number], tail, items.alignment)
        if group.parent != NOBODY:
            inner[group.parent] = max(inner[group.parent], own)
    offsets = np.zeros(len(items), np.int64)
    for number, group in enumerate(groups):
        base = start[group.parent] if group.parent != NOBODY else 0
        if group.knot:
            offsets[group.knot.index] = base + plans[number]
            continue
        padded, tail = items.padded[group.stacked], int(items.tail[group.stacked[-1]])
        offsets[group.stacked] = base + np.cumsum(padded) - padded
        start[number] = base + int(padded.sum())
        if _less(inner[number], tail, items.alignment) < inner[number]:  # the last is better on top
            start[number] -= int(padded[-1])
            offsets[group.stacked[-1]] = start[number] + _up(inner[number], items.alignment)
    return offsets


def _most_padded_last(stacked: Integers, items: Items) -> Integers:
    """In the order of the buffers otherwise."""
    tail = items.tail[stacked]
    most = int(tail.argmax())
    return np.append(np.delete(stacked, most), stacked[most]) if tail[most] else stacked


def _less(height: int, tail: int, alignment: int) -> int:
    """A height, or what it counts if an item with this much padding may be put on top."""
    return min(height, _up(height, alignment) - tail)


def _apart(items: Items) -> Iterator[tuple[NDArray[np.bool_], Items]]:
    """Which of ``items`` live in each stretch of time that they connect, and those items."""
    if not len(items):
        return
    items = dense(items)
    spans = np.zeros(items.moments + 1, np.int64)
    np.add.at(spans, items.lower + 1, 1)
    np.subtract.at(spans, items.upper, 1)
    cuts = np.flatnonzero(np.cumsum(spans)[1:-1] == 0) + 1
    part = np.searchsorted(cuts, items.lower, side="right")
    for number in range(len(cuts) + 1):
        mine = part == number
        yield mine, dense(items[mine])


def _up(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment
