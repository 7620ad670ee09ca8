"""Placing items one by one into the gaps between those that are placed already."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from devices.memory.arena.items import Integers, Items
from devices.memory.arena.limits import NOWHERE, SearchLimits, Walls

Choose = Callable[[Integers, Integers, int, int], int]
"""The offset for an item in one of the gaps, from their floors, their room, its size and its number."""

PROMOTIONS = 12
"""How often a rule puts an item forward that found no gap, before it gives up."""

LARGE_PERCENT = 10
"""Of the items, by size, are large."""


def first_fit(items: Items, order: Integers, limits: SearchLimits) -> Integers | None:
    """Each item at the lowest offset that is free during its whole life."""
    offsets, count = _into_gaps(items, order, limits.ceiling - 1, limits.walls, _lowest)
    return offsets if count == len(items) else None


def best_fit(items: Items, order: Integers, limits: SearchLimits) -> Integers | None:
    """Each item into the smallest gap that holds it."""
    offsets, count = _into_gaps(items, order, limits.ceiling - 1, limits.walls, _tightest)
    return offsets if count == len(items) else None


def halves(items: Items, order: Integers, limits: SearchLimits) -> Integers | None:
    """Items of the first half of time from below, those of the second half from the target down.

    What dies early and what is born late then grow out of opposite ends, and leave one free stretch
    that wanders between them.
    """
    return _two_ended(items, order, limits, items.lower + items.upper <= items.moments)


def small_below(items: Items, order: Integers, limits: SearchLimits) -> Integers | None:
    """The largest tenth of the items from the target down, all others from below."""
    return _two_ended(items, order, limits, items.padded < np.percentile(items.padded, 100 - LARGE_PERCENT))


def all_below(items: Items, order: Integers, limits: SearchLimits) -> Integers | None:
    """First fit with promotions."""
    return _two_ended(items, order, limits, np.ones(len(items), np.bool_))


def _two_ended(
    items: Items, order: Integers, limits: SearchLimits, from_below: NDArray[np.bool_]
) -> Integers | None:
    """The lowest or the highest gap below the target for each item; None if they do not suffice.

    An item that finds no gap is put forward to half its place in the order, and all is tried again.
    """

    def choose(floor: Integers, room: Integers, size: int, item: int) -> int:
        return (_lowest if from_below[item] else _highest)(floor, room, size, item)

    for _ in range(PROMOTIONS):
        offsets, count = _into_gaps(items, order, limits.target, limits.walls, choose)
        if count == len(items):
            return offsets
        promoted = order[count // 2 : count + 1]
        order = np.concatenate([order[: count // 2], np.roll(promoted, 1), order[count + 1 :]])
    return None


def _into_gaps(items: Items, order: Integers, cap: int, walls: Walls, choose: Choose) -> tuple[Integers, int]:
    """Offsets of the items as far as they find a gap that ends at or below ``cap``, and how many do."""
    fixed = np.array([*walls, (cap, NOWHERE)], np.int64)
    count = len(fixed)
    lower, upper, start, end = np.empty((4, count + len(items)), np.int64)
    lower[:count], upper[:count] = 0, items.moments  # a wall never dies
    start[:count], end[:count] = fixed.T
    offsets = np.zeros(len(items), np.int64)
    columns = (items.lower, items.upper, items.size, items.padded)
    rows = zip(order.tolist(), *(a[order].tolist() for a in columns), strict=True)
    for placed, (item, birth, death, size, padded) in enumerate(rows):
        meets = (lower[:count] < death) & (upper[:count] > birth)
        offset = choose(*_gaps(start[:count][meets], end[:count][meets]), size, item)
        if offset < 0:
            return offsets, placed
        offset -= offset % items.alignment  # only where it lies as high as it can is it not aligned
        offsets[item] = start[count] = offset
        lower[count], upper[count], end[count] = birth, death, offset + padded
        count += 1
    return offsets, len(items)


def _gaps(start: Integers, end: Integers) -> tuple[Integers, Integers]:
    """Where each gap below one of these stretches begins and its room; negative if there is none."""
    order = start.argsort()
    start, floor = start[order], np.zeros_like(start)
    np.maximum.accumulate(end[order[:-1]], out=floor[1:])
    return floor, start - floor


def _lowest(floor: Integers, room: Integers, size: int, item: int) -> int:
    gap = int((room >= size).argmax())
    return int(floor[gap]) if room[gap] >= size else -1


def _highest(floor: Integers, room: Integers, size: int, item: int) -> int:
    gap = len(room) - 1 - int((room[::-1] >= size).argmax())
    return int(floor[gap] + room[gap] - size) if room[gap] >= size else -1


def _tightest(floor: Integers, room: Integers, size: int, item: int) -> int:
    fitting = np.flatnonzero(room >= size)
    return int(floor[fitting[room[fitting].argmin()]]) if len(fitting) else -1
