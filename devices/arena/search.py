"""A tree search for plans that waste little: the skyline of :mod:`devices.arena.skyline`, with regrets.

Below a given height each moment has so many units to waste: height minus live units. Lifting a
stretch of the skyline spends them, and when one moment would overdraw, the search goes back. Where
the bound is tight at many moments hardly any choice survives, and plans that no order finds are
found at once or never: so it is restarted often, with a little noise in the choice.
"""

import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from devices.arena.items import Integers, Items

FIRST_NODES = 4
"""Nodes per item in the first try; every further try has a tenth more."""
GROWTH = 1.1
CLOCK = 64
"""Nodes between two looks at the clock."""


@dataclass
class Effort:
    """How much may still be searched: ``nodes`` steps, until ``deadline`` (of time.perf_counter)."""

    nodes: int
    deadline: float = math.inf

    @property
    def left(self) -> bool:
        """Whether anything is left."""
        return self.nodes > 0 and time.perf_counter() < self.deadline


def improve(items: Items, low: int, best: Integers, effort: Effort, seed: int) -> Integers:
    """The lowest plan found, ``best`` if none is lower; ends at ``low`` units or with the effort.

    Tries for ``low`` itself and for the middle between it and the best plan take turns: the first
    has little choice and is quick, the second is likelier to exist.
    """
    rng, nodes = random.Random(seed), float(FIRST_NODES * len(items))
    height, middle = int((best + items.size).max()), False
    while height > low and effort.left:
        wanted = (low + height - 1) // 2 if middle else low
        found = _Tree(items, wanted, rng).search(int(nodes), effort)
        if found is not None:
            best, height = found, int((found + items.size).max())
        nodes, middle = nodes * GROWTH, not middle
    return best


@dataclass
class _Move:
    """One step: ``item`` placed at ``level``, or (item < 0) [start, end) lifted from there by ``lift``."""

    item: int
    level: int
    start: int
    end: int
    lift: int


@dataclass
class _Tree:
    """The state of one search; ``slack`` is what each moment may still waste."""

    items: Items
    height: int
    rng: random.Random
    size: list[int] = field(init=False)
    lower: list[int] = field(init=False)
    upper: list[int] = field(init=False)

    def __post_init__(self) -> None:
        items = self.items
        self.size, self.lower, self.upper = items.size.tolist(), items.lower.tolist(), items.upper.tolist()
        self.slack: list[int] = (self.height - items.live).tolist()
        self.skyline = [0] * items.moments
        self.waiting: list[list[int]] = [[] for _ in range(items.moments)]  # by their start
        for item in np.argsort(-items.size * (items.upper - items.lower), kind="stable").tolist():
            self.waiting[self.lower[item]].append(item)
        self.offsets = np.zeros(len(items), np.int64)
        self.left = len(items)

    def search(self, nodes: int, effort: Effort) -> Integers | None:
        """Offsets within the height, or None if ``nodes`` steps, or the effort that is left, find none."""
        if min(self.slack) < 0:
            return None
        path: list[tuple[Iterator[_Move], _Move | None]] = [(self._moves(), None)]
        while path and nodes and effort.nodes:
            moves, made = path[-1]
            move = next(moves, None)
            if move is None:
                path.pop()
                if made:
                    self._undo(made)
                continue
            nodes, effort.nodes = nodes - 1, effort.nodes - 1
            if nodes % CLOCK == 0 and not effort.left:
                break
            self._do(move)
            if not self.left:
                return self.offsets
            path.append((self._moves(), move))
        return None

    def _moves(self) -> Iterator[_Move]:
        """What can happen at the lowest stretch, the most promising first."""
        skyline, level = self.skyline, min(self.skyline)
        start = end = skyline.index(level)
        while end < len(skyline) and skyline[end] == level:
            end += 1
        walls = [skyline[t] for t in (start - 1, end) if 0 <= t < len(skyline)]
        lift = min(walls) - level if walls else 0
        moves = [
            _Move(item, level, self.lower[item], self.upper[item], self.size[item])
            for item in self._candidates(start, end)
        ]
        # Snug at the sides counts most; level with the neighbour leaves one stretch instead of two.
        moves.sort(
            key=lambda m: (m.start != start) + (m.end != end) + 0.5 * (m.lift != lift) + self.rng.random()
        )
        if 0 < lift <= min(self.slack[start:end]):
            moves.append(_Move(-1, level, start, end, lift))
        return iter(moves)

    def _candidates(self, start: int, end: int) -> list[int]:
        found: dict[tuple[int, int, int], int] = {}  # of several alike, one is enough
        for moment in range(start, end):
            for item in self.waiting[moment]:
                if self.upper[item] <= end:
                    found.setdefault((self.size[item], moment, self.upper[item]), item)
            if not self.slack[moment]:
                break  # this moment can waste nothing: what lies here begins here or before
        return list(found.values())

    def _do(self, move: _Move) -> None:
        for moment in range(move.start, move.end):
            self.skyline[moment] += move.lift
        if move.item < 0:
            for moment in range(move.start, move.end):
                self.slack[moment] -= move.lift
        else:
            self.offsets[move.item] = move.level
            self.waiting[move.start].remove(move.item)
            self.left -= 1

    def _undo(self, move: _Move) -> None:
        for moment in range(move.start, move.end):
            self.skyline[moment] -= move.lift
        if move.item < 0:
            for moment in range(move.start, move.end):
                self.slack[moment] += move.lift
        else:
            self.waiting[move.start].append(move.item)
            self.left += 1
