"""A partial plan of the tree search: what is placed, the skyline above it, and the way back.

Plain lists of integers, on purpose: a step changes a few of them, and is done in microseconds.
"""

from typing import NamedTuple

import numpy as np

from devices.memory.arena.items import Integers, Items
from devices.memory.arena.limits import NOWHERE

Segment = tuple[int, int, int]
"""First moment, last moment (exclusive) and level of a stretch of the skyline."""


class Kinds:
    """Items by lifetime and size, in the order of their starts: of several alike, any is as good."""

    def __init__(self, items: Items, height: int) -> None:
        columns = (items.lower, items.upper, items.padded, items.size)
        members: dict[tuple[int, ...], list[int]] = {}
        for item, key in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            members.setdefault(key, []).append(item)
        keys = sorted(members)
        self.members = [members[key] for key in keys]
        self.lower, self.upper, self.padded, self.size = (list(c) for c in zip(*keys, strict=True))
        self.moments, self.height = items.moments, height
        self.starting: list[list[int]] = [[] for _ in range(self.moments + 1)]
        self.ending: list[list[int]] = [[] for _ in range(self.moments + 1)]
        for kind, (lower, upper) in enumerate(zip(self.lower, self.upper, strict=True)):
            self.starting[lower].append(kind)
            self.ending[upper].append(kind)
        self.first: list[int] = np.searchsorted(self.lower, np.arange(self.moments + 1)).tolist()
        self.slack = _slack(items, height)
        self.crossing = _crossing(items)

    def span(self, start: int, end: int) -> slice:
        """The kinds that start within [start, end)."""
        return slice(self.first[start], self.first[end])


def _slack(items: Items, height: int) -> list[int]:
    """What each moment may waste: the highest padded end within the height, less all that is alive."""
    ends = (height - items.size) // items.alignment * items.alignment + items.padded
    highest = np.zeros(items.moments, np.int64)
    for end, lower, upper in zip(ends, items.lower, items.upper, strict=True):
        np.maximum(highest[lower:upper], end, out=highest[lower:upper])
    slack: list[int] = (highest - items.live).tolist()
    return slack


def _crossing(items: Items) -> list[int]:
    """How many items live both just before and just after the beginning of each moment."""
    changes = np.zeros(items.moments + 2, np.int64)
    np.add.at(changes, items.lower + 1, 1)
    np.subtract.at(changes, items.upper, 1)
    crossing: list[int] = np.cumsum(changes).tolist()
    return crossing


class NextOptions(NamedTuple):
    """What may come next at a stretch: one of ``kinds`` as the first from one end of it, or nothing."""

    kinds: list[int]
    from_right: bool
    lift: bool

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self.kinds) + self.lift


class SkylineStretch(NamedTuple):
    """Moments of equal height with the heights beside them, NOWHERE at the rim of what is searched."""

    start: int
    end: int
    level: int
    left: int
    right: int


class Partial:
    """How many of each kind are not placed yet, and the skyline of the others.

    ``end``, ``level`` and ``options`` of a stretch go by its first moment, ``start`` by its end.
    Options stand until the stretch or a neighbour changes. ``trail`` is what :meth:`back_to` undoes.
    """

    def __init__(self, kinds: Kinds) -> None:
        self.kinds = kinds
        self.waiting = [len(members) for members in kinds.members]
        self.offsets: list[list[int]] = [[] for _ in kinds.members]
        self.starting = [list(some) for some in kinds.starting]  # kinds that wait, by their start
        self.ending = [list(some) for some in kinds.ending]
        self.slack, self.crossing = list(kinds.slack), list(kinds.crossing)
        size = kinds.moments + 1
        self.start, self.end, self.level = [0] * size, [0] * size, [0] * size
        self.options: list[NextOptions | None] = [None] * size
        self.end[0] = kinds.moments
        self.trail: list[_Change | int | tuple[int, int, int]] = []

    def stretch(self, start: int, first: int, last: int) -> SkylineStretch:
        """The stretch that begins at ``start``, seen from within [first, last)."""
        end = self.end[start]
        left = self.level[self.start[start]] if start > first else NOWHERE
        right = self.level[end] if end < last else NOWHERE
        return SkylineStretch(start, end, self.level[start], left, right)

    def state(self, first: int, last: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """All that matters for what can still be done within these moments."""
        return tuple(self.waiting[self.kinds.span(first, last)]), tuple(self.slack[first:last])

    def lift(self, at: SkylineStretch) -> None:
        """Let nothing lie on a stretch: it rises to its lower neighbour."""
        level = min(at.left, at.right)
        self._waste(at.start, at.end, level - at.level)
        self._put(at, [(at.start, at.end, level)])

    def place(self, kind: int, at: SkylineStretch, from_right: bool) -> list[int]:
        """Put one of a kind on a stretch, as the first from an end; returns the cuts that this makes.

        What is left of the stretch on that side stays empty, and rises to its lower neighbour. A cut
        is a moment over whose beginning nothing lives any more that is not placed.
        """
        kinds = self.kinds
        lower, upper, top = kinds.lower[kind], kinds.upper[kind], at.level + kinds.padded[kind]
        before = at.level if from_right else min(at.left, top)
        after = min(at.right, top) if from_right else at.level
        self._waste(at.start, lower, before - at.level)
        self._waste(upper, at.end, after - at.level)
        self._put(at, [(at.start, lower, before), (lower, upper, top), (upper, at.end, after)])
        self.waiting[kind] -= 1
        if not self.waiting[kind]:
            self.starting[lower].remove(kind)
            self.ending[upper].remove(kind)
        self.offsets[kind].append(at.level)
        self.trail.append(kind)
        crossing, cuts = self.crossing, []
        for moment in range(lower + 1, upper):
            crossing[moment] -= 1
            if not crossing[moment]:
                cuts.append(moment)
        return cuts

    def cut(self, moment: int, first: int) -> None:
        """End a stretch at ``moment``, which lies within it; ``first`` is the start of one before."""
        while self.end[first] <= moment:
            first = self.end[first]
        last, level = self.end[first], self.level[first]
        self._change(first, last, [(first, moment, level), (moment, last, level)])

    def back_to(self, length: int) -> None:
        """Undo all but the first ``length`` changes."""
        while len(self.trail) > length:
            change = self.trail.pop()
            if isinstance(change, int):
                self._take(change)
            elif isinstance(change, list):
                for start, end, level, options in change:
                    self.end[start], self.start[end] = end, start
                    self.level[start], self.options[start] = level, options
            else:
                start, end, lift = change
                for moment in range(start, end):
                    self.slack[moment] += lift

    def all_offsets(self) -> Integers:
        """Of every item, once all are placed."""
        offsets = np.zeros(sum(map(len, self.kinds.members)), np.int64)
        for members, found in zip(self.kinds.members, self.offsets, strict=True):
            offsets[members] = found
        return offsets

    def _take(self, kind: int) -> None:
        lower, upper = self.kinds.lower[kind], self.kinds.upper[kind]
        if not self.waiting[kind]:
            self.starting[lower].append(kind)
            self.ending[upper].append(kind)
        self.waiting[kind] += 1
        self.offsets[kind].pop()
        for moment in range(lower + 1, upper):
            self.crossing[moment] += 1

    def _waste(self, start: int, end: int, lift: int) -> None:
        if lift and start < end:
            for moment in range(start, end):
                self.slack[moment] -= lift
            self.trail.append((start, end, lift))

    def _put(self, at: SkylineStretch, segments: list[Segment]) -> None:
        """Replace a stretch; what becomes as high as its neighbour grows together with it."""
        first, last = at.start, at.end
        if at.left != NOWHERE:
            first = self.start[first]
            segments.insert(0, (first, at.start, at.left))
        if at.right != NOWHERE:
            last = self.end[last]
            segments.append((at.end, last, at.right))
        merged: list[Segment] = []
        for start, end, level in segments:
            if start == end:
                continue
            if merged and merged[-1][2] == level:
                merged[-1] = (merged[-1][0], end, level)
            else:
                merged.append((start, end, level))
        self._change(first, last, merged)

    def _change(self, first: int, last: int, segments: list[Segment]) -> None:
        old: _Change = []
        while first < last:
            end = self.end[first]
            old.append((first, end, self.level[first], self.options[first]))
            first = end
        self.trail.append(old)
        for start, end, level in segments:
            self.end[start], self.start[end] = end, start
            self.level[start], self.options[start] = level, None


_Change = list[tuple[int, int, int, NextOptions | None]]
