"""The candidates that a search has measured: all of them, or a sample and what is next to the best.

Unless a number is named, the sample grows until nothing is left that differs in one setting from a candidate
of the front.
"""

from collections.abc import Callable, Iterable, Sequence

from blockwise.fit.measure import Limits, Measured
from blockwise.fit.neighbours import Neighbours
from blockwise.fit.space import Candidate, sample

SMALL = 5_000
"""So many candidates are all looked at."""

SAMPLED = 0.4
"""Of those that may be looked at, where there are more; the others are neighbours of the front."""

LEANEST = 12
"""If nothing fits, so many candidates that lack the fewest bytes are cut for their own step."""

Measure = Callable[[Sequence[Candidate]], list[Measured]]


class Looked:
    """Of ``possible``, at most ``most`` if told: ``first`` measures the start, ``later`` the rest."""

    def __init__(
        self, possible: Sequence[Candidate], most: int | None, limits: Limits, first: Measure, later: Measure
    ) -> None:
        every = len(possible) <= (most or SMALL)
        self._neighbours = Neighbours(possible)
        self._most, self._limits, self._measure = most or len(possible), limits, later
        start = max(1, int((most or SMALL) * SAMPLED))
        self.measured = first(possible if every else sample(possible, start))
        self._known = {m.candidate for m in self.measured}

    @property
    def fitting(self) -> list[Measured]:
        """By the sum of live bytes and the size of the flash."""
        return [m for m in self.measured if m.may_fit(self._limits)]

    @property
    def leanest(self) -> list[Measured]:
        """What lacks the fewest bytes, the lowest peak first among equals."""
        return sorted(self.measured, key=self._lack)[:LEANEST]

    def grow(self, candidates: Iterable[Candidate]) -> list[Measured]:
        """Measure what is next to ``candidates``, as far as there is room; gives what of it may fit."""
        return [m for m in self._grow(candidates) if m.may_fit(self._limits)]

    def grow_leanest(self) -> bool:
        """Measure what is next to the leanest until that is all known; whether some of it may fit."""
        before = len(self.measured)
        while self._grow(m.candidate for m in self.leanest):
            pass
        return any(m.may_fit(self._limits) for m in self.measured[before:])

    def knows_all_next_to(self, candidates: Iterable[Candidate]) -> bool:
        """Whether all of their neighbours are measured."""
        return self._known.issuperset(self._neighbours.of(candidates))

    def _grow(self, candidates: Iterable[Candidate]) -> list[Measured]:
        new = [c for c in self._neighbours.of(candidates) if c not in self._known]
        found = self._measure(new[: self._most - len(self.measured)])
        self._known.update(m.candidate for m in found)
        self.measured += found
        return found

    def _lack(self, measured: Measured) -> tuple[int, int]:
        return sum(measured.missing(self._limits)), measured.peak_bytes
