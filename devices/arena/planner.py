"""Offsets for buffers in one arena: quick rules first, search and solver where they fall short."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from devices.arena import rules, search, solver
from devices.arena.buffers import Arena, Buffer, peak_of
from devices.arena.items import Integers, Knot, items_of, untangle
from devices.errors import InputError

QUICK_NODES = 10_000
"""Steps of the search where no time limit is given: well below a second, and always the same plan."""
UNLIMITED = 2**62
SEARCH_SHARE = 0.4
"""Of the time limit; the rest is the solver's, which alone can prove that a plan is the lowest."""


@dataclass
class _Part:
    """A knot and its best plan so far; ``bound`` and ``top`` count from the arena's start, in units."""

    knot: Knot
    offsets: Integers
    method: str
    bound: int

    @property
    def top(self) -> int:
        return self.knot.base + int((self.offsets + self.knot.items.size).max())

    def take(self, offsets: Integers, method: str) -> None:
        """Use this plan if it is lower."""
        if (offsets + self.knot.items.size).max() < (self.offsets + self.knot.items.size).max():
            self.offsets, self.method = offsets, method


def pack(
    buffers: Iterable[Buffer], alignment: int = 8, *, time_limit: float = 0.0, seed: int = 0, workers: int = 2
) -> Arena:
    """Offsets for ``buffers`` at multiples of ``alignment`` bytes, in as few bytes as can be found.

    Stops as soon as the height equals the peak of live bytes. ``time_limit`` (seconds) is what may
    be spent beyond the quick rules and a short search; with it the solver takes part, if ortools is
    installed. Without a time limit the same input always gives the same plan. Raises InputError for
    a name that occurs twice or an alignment below 1.
    """
    buffers = tuple(buffers)
    check(buffers, alignment)
    offsets = dict.fromkeys((b.name for b in buffers), 0)
    solid = [b for b in buffers if not b.empty]
    bound = peak_of(buffers, alignment)
    if not solid:
        return Arena(buffers, offsets, alignment, bound, bound, "nothing to place")
    items = items_of(solid, alignment)
    units, knots = untangle(items)
    parts = [_quick(knot, bound // alignment) for knot in knots]
    _untie(parts, bound // alignment, time_limit, seed, workers)
    for part in parts:
        units[part.knot.index] = part.knot.base + part.offsets
    offsets |= {b.name: int(unit) * alignment for b, unit in zip(solid, units, strict=True)}
    proven = max([bound, *(part.bound * alignment for part in parts)])
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


def _quick(knot: Knot, bound: int) -> _Part:
    """The lowest plan of the quick rules, as far as they are needed to reach ``bound`` units."""
    *_, (method, offsets, _) = rules.plans(knot.items, bound - knot.base)
    return _Part(knot, offsets, method, knot.base + knot.items.peak)


def _untie(parts: list[_Part], bound: int, time_limit: float, seed: int, workers: int) -> None:
    """Improve the highest part until it is at the bound, or proven, or the time is up."""
    started = time.perf_counter()
    while parts:
        part = max(parts, key=lambda p: p.top)
        allowed = max(bound, *(p.bound for p in parts))
        left = time_limit - (time.perf_counter() - started)
        if part.top <= allowed or not _improve(part, allowed, left if time_limit else 0.0, seed, workers):
            return


def _improve(part: _Part, allowed: int, seconds: float, seed: int, workers: int) -> bool:
    """Lower ``part``, or raise what is proven about it; False if neither came of it."""
    items, before = part.knot.items, (part.top, part.bound)
    low = max(allowed - part.knot.base, items.peak)
    part.take(search.improve(items, low, part.offsets, search.Effort(QUICK_NODES), seed), "tree search")
    if part.top > allowed and seconds > 0:
        effort = search.Effort(UNLIMITED, time.perf_counter() + SEARCH_SHARE * seconds)
        part.take(search.improve(items, low, part.offsets, effort, seed + 1), "tree search")
    if part.top > allowed and seconds > 0 and solver.available():
        answer = solver.solve(
            items, low, part.offsets, seconds=(1 - SEARCH_SHARE) * seconds, workers=workers, seed=seed
        )
        if answer.offsets is not None:
            part.take(answer.offsets, "CP-SAT")
        part.bound = max(part.bound, part.knot.base + answer.bound)
    return (part.top, part.bound) != before
