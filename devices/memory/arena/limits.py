"""Within what the quick rules look for a plan."""

from dataclasses import dataclass

NOWHERE = 2**62
"""Above every plan."""

Walls = tuple[tuple[int, int], ...]
"""Stretches [start, end) that no item may touch, in order: what lies between two runs of RAM.

Their ends are aligned, their starts need not be."""


@dataclass(frozen=True)
class SearchLimits:
    """In bytes: there is nothing to gain below ``target``; a plan must end below ``ceiling``."""

    target: int
    ceiling: int = NOWHERE
    walls: Walls = ()
