"""Filling the skyline over time from below.

The idea of best-fit packing: Burke, Kendall and Whitwell, Operations Research 52(4), 2004.
"""

from bisect import bisect_left

import numpy as np

from devices.memory.arena.items import Integers, Items
from devices.memory.arena.limits import NOWHERE, SearchLimits

PLACED = -1
"""In place of an item's first moment: no stretch begins that early."""


def skyline(items: Items, order: Integers, limits: SearchLimits) -> Integers | None:
    """Fill the lowest stretch of the skyline with the first item of ``order`` that fits into it.

    A stretch into which nothing fits any more is lifted to its lower neighbour. ``items`` have dense
    times. Returns None where the plan would not end below the ceiling.
    """
    size, padded = items.size[order], items.padded[order]
    lower, upper = items.lower[order], items.upper[order]
    offsets = np.zeros(len(items), np.int64)
    line = _Line(items.moments)
    walls = [*limits.walls, (NOWHERE, NOWHERE)]
    wall_starts = [start for start, _ in walls]
    for _ in range(len(items)):
        while True:
            stretch, level, start, end = line.lowest()
            wall_start, wall_end = walls[bisect_left(wall_starts, level)]
            fits = (lower >= start) & (upper <= end)
            if limits.walls:
                fits &= size <= wall_start - level
            item = int(fits.argmax())
            if fits[item]:
                break
            line.lift(stretch, wall_start if level < wall_start else wall_end)
        if level + int(size[item]) >= limits.ceiling:
            return None
        offsets[order[item]] = level
        line.place(stretch, int(lower[item]), int(upper[item]), level + int(padded[item]))
        lower[item] = PLACED
    return offsets


class _Line:
    """A height for each moment, kept as stretches of equal height; neighbours differ."""

    def __init__(self, moments: int) -> None:
        self.starts, self.levels = [0, moments], [0]

    def lowest(self) -> tuple[int, int, int, int]:
        """Number, height, first and last moment (exclusive) of the lowest stretch."""
        level = min(self.levels)
        stretch = self.levels.index(level)
        return stretch, level, self.starts[stretch], self.starts[stretch + 1]

    def lift(self, stretch: int, bound: int) -> None:
        """Raise a stretch to its lower neighbour, or to ``bound`` if that is lower."""
        near = self.levels[max(0, stretch - 1) : stretch + 2]
        near.remove(self.levels[stretch])
        self.place(stretch, self.starts[stretch], self.starts[stretch + 1], min([bound, *near]))

    def place(self, stretch: int, start: int, end: int, top: int) -> None:
        """Raise [start, end), a part of that stretch, to ``top``."""
        first, last, level = self.starts[stretch], self.starts[stretch + 1], self.levels[stretch]
        starts, levels = [start], [top]
        if first < start:
            starts, levels = [first, *starts], [level, *levels]
        elif stretch and self.levels[stretch - 1] == top:  # grows onto its neighbour
            starts, levels = [], []
        after = stretch + 1
        if end < last:
            starts, levels = [*starts, end], [*levels, level]
        elif after < len(self.levels) and self.levels[after] == top:
            after += 1
        self.starts[stretch:after], self.levels[stretch:after] = starts, levels
