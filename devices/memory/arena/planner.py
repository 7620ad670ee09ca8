"""Offsets for buffers in one arena: quick rules first, search and solver where they fall short."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from devices.errors import InputError
from devices.memory.arena import rules, solver
from devices.memory.arena.buffers import Arena, Buffer, peak_of
from devices.memory.arena.items import Integers, items_of
from devices.memory.arena.search import Found, improve
from devices.memory.arena.stacking import Knot, assemble, untangle
from devices.memory.arena.tree import Effort

QUICK_NODES = 25_000
"""Steps of the search without a time limit: half a second for a thousand buffers, always the same plan."""
UNLIMITED = 2**62
SEARCH_SHARE = 0.75
"""Of the time limit; the rest is the solver's, where it is installed."""


@dataclass
class _Part:
    """A knot and its best plan so far; no plan of it is below ``bound`` bytes."""

    number: int
    knot: Knot
    offsets: Integers
    method: str
    bound: int

    @property
    def top(self) -> int:
        """Height of the whole as far as this part goes."""
        return self.knot.height(self.knot.items.height(self.offsets))

    @property
    def least(self) -> int:
        """What every plan of the whole needs because of this part."""
        return self.knot.height(self.bound)

    def take(self, found: Found, method: str) -> None:
        """Use this plan if it is lower, and what it proves."""
        items = self.knot.items
        if items.height(found.offsets) < items.height(self.offsets):
            self.offsets, self.method = found.offsets, method
        self.bound = max(self.bound, found.bound)


@dataclass(frozen=True)
class _Means:
    """What the search is after, and what it may take."""

    goal: int
    only: bool  # whether the goal is a capacity, below which and above which nothing matters
    seconds: float
    seed: int
    workers: int


def pack(
    buffers: Iterable[Buffer], alignment: int = 8, *, capacity: int | None = None,
    time_limit: float = 0.0, seed: int = 0, workers: int = 2,
) -> Arena:  # fmt: skip
    """Offsets for ``buffers`` at multiples of ``alignment`` bytes, in as few bytes as can be found.

    Stops as soon as the height is within ``capacity`` (bytes), or without one equals the lower
    bound. ``time_limit`` (seconds) is what may be spent beyond the quick rules and a short search;
    with it the solver takes part, if ortools is installed. Without a time limit the same input
    always gives the same plan. Raises InputError for a name that occurs twice or an alignment below 1.
    """
    buffers = tuple(buffers)
    check(buffers, alignment)
    offsets = dict.fromkeys((b.name for b in buffers), 0)
    solid = [b for b in buffers if not b.empty]
    bound = peak_of(buffers, alignment)
    if not solid:
        return Arena(buffers, offsets, alignment, bound, bound, "nothing to place")
    items = items_of(solid, alignment)
    groups = untangle(items)
    goal = max(bound, capacity or 0)
    parts = [_quick(number, group.knot, goal) for number, group in enumerate(groups) if group.knot]
    _untie(parts, _Means(goal, goal > bound, time_limit, seed, workers))
    placed = assemble(groups, items, {part.number: part.offsets for part in parts})
    offsets |= {b.name: offset for b, offset in zip(solid, placed.tolist(), strict=True)}
    proven = max([bound, *(part.least for part in parts)])
    method = max(parts, key=lambda p: p.top).method if parts else "stacked"
    return Arena(buffers, offsets, alignment, bound, proven, method)


def check(buffers: Sequence[Buffer], alignment: int) -> None:
    """Raise InputError for a name that occurs twice or an alignment below 1."""
    if alignment < 1:
        raise InputError("alignment", got=alignment, wanted="1 byte or more", do="correct it")
    seen: set[str] = set()
    for buffer in buffers:
        if buffer.name in seen:
            raise InputError(
                f"buffer {buffer.name!r}", got="two of this name", wanted="each name once", do="rename one"
            )
        seen.add(buffer.name)


def _quick(number: int, knot: Knot, goal: int) -> _Part:
    """The lowest plan of the quick rules, as far as they are needed to reach the goal."""
    *_, (method, offsets, _) = rules.plans(knot.items, knot.room(goal))
    return _Part(number, knot, offsets, method, knot.items.peak)


def _untie(parts: list[_Part], means: _Means) -> None:
    """Improve the highest part until it is at the goal, or proven, or the time is up."""
    started = time.perf_counter()
    while parts:
        part = max(parts, key=lambda p: p.top)
        allowed = max(means.goal, *(p.least for p in parts))
        left = means.seconds - (time.perf_counter() - started)
        if part.top <= allowed or not _improve(part, allowed, left if means.seconds else 0.0, means):
            return


def _improve(part: _Part, allowed: int, seconds: float, means: _Means) -> bool:
    """Lower ``part``, or raise what is proven about it; False if neither came of it."""
    before, low = (part.top, part.bound), part.knot.room(allowed)
    only = means.only and allowed == means.goal
    _search(part, low, Effort(QUICK_NODES), means.seed, only)
    solve = seconds > 0 and solver.available()
    if part.top > max(allowed, part.least) and seconds > 0:
        share = SEARCH_SHARE if solve else 1.0
        _search(part, low, Effort(UNLIMITED, time.perf_counter() + share * seconds), means.seed + 1, only)
    if part.top > max(allowed, part.least) and solve:
        answer = solver.solve(
            part.knot.items, max(low, part.bound), part.offsets, seconds=(1 - SEARCH_SHARE) * seconds,
            workers=means.workers, seed=means.seed,
        )  # fmt: skip
        offsets = part.offsets if answer.offsets is None else answer.offsets
        part.take(Found(offsets, answer.bound), "CP-SAT")
    return (part.top, part.bound) != before


def _search(part: _Part, low: int, effort: Effort, seed: int, only: bool) -> None:
    known = Found(part.offsets, part.bound)
    part.take(improve(part.knot.items, low, known, effort, seed, only=only), "tree search")
