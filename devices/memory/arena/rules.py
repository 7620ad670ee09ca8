"""Quick plans: put one buffer after another where it fits, in several orders and several ways."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from devices.memory.arena.gaps import all_below, best_fit, first_fit, halves, small_below
from devices.memory.arena.items import Integers, Items
from devices.memory.arena.limits import NOWHERE, SearchLimits, Walls
from devices.memory.arena.skyline import skyline


@dataclass(frozen=True)
class Rule:
    """An order of the items, and a way to place them one by one in that order."""

    order: Callable[[Items], Integers]
    fill: Callable[[Items, Integers, SearchLimits], Integers | None]

    def __call__(self, items: Items, limits: SearchLimits) -> Integers | None:
        """Offsets within the limits, or None."""
        return self.fill(items, self.order(items), limits)


def plans(
    items: Items, target: int, walls: Walls = (), ceiling: int = NOWHERE
) -> Iterator[tuple[str, Integers, int]]:
    """Rule, offsets and height of ever lower plans below ``ceiling``.

    Ends when ``target`` is reached or the rules run out.
    """
    best = ceiling
    for name, rule in RULES.items():
        offsets = rule(items, SearchLimits(target, best, walls))
        if offsets is not None:
            best = items.height(offsets)
            yield name, offsets, best
        if best <= target:
            return


def _largest(items: Items) -> Integers:
    return np.lexsort((items.lower - items.upper, -items.padded))


def _longest(items: Items) -> Integers:
    return np.lexsort((-items.padded, items.lower - items.upper))


def _widest(items: Items) -> Integers:
    """By area: bytes times moments, as floats because of their range."""
    return np.argsort(-items.padded.astype(float) * (items.upper - items.lower), kind="stable")


def _earliest(items: Items) -> Integers:
    return np.lexsort((items.lower - items.upper, items.lower))


def _latest(items: Items) -> Integers:
    return np.lexsort((items.lower - items.upper, -items.upper))


def _most_contended(items: Items) -> Integers:
    """By the highest sum of live bytes that an item sees, the longest first."""
    crowd = np.array([items.live[a:b].max() for a, b in zip(items.lower, items.upper, strict=True)])
    return np.lexsort((-items.padded, items.lower - items.upper, -crowd))


def _around_the_peak(items: Items) -> Integers:
    """From the moment of the peak outwards, the longest first."""
    peak = int(items.live.argmax())
    away = np.maximum(np.maximum(items.lower - peak, peak + 1 - items.upper), 0)
    return np.lexsort((-items.padded, items.lower - items.upper, away))


RULES: dict[str, Rule] = {
    "duration, skyline": Rule(_longest, skyline),
    "contention, two-ended by size": Rule(_most_contended, small_below),
    "contention, two-ended by time": Rule(_most_contended, halves),
    "peak, first fit": Rule(_around_the_peak, first_fit),
    "contention, best fit": Rule(_most_contended, best_fit),
    "size, first fit": Rule(_largest, first_fit),
    "peak, first fit with promotions": Rule(_around_the_peak, all_below),
    "end, skyline": Rule(_latest, skyline),
    "area, skyline": Rule(_widest, skyline),
    "size, skyline": Rule(_largest, skyline),
    "size, best fit": Rule(_largest, best_fit),
    "contention, first fit": Rule(_most_contended, first_fit),
    "start, skyline": Rule(_earliest, skyline),
    "end, first fit": Rule(_latest, first_fit),
    "area, first fit": Rule(_widest, first_fit),
}
"""In the order in which they are tried; the first three suffice for nearly all schedules of training."""
