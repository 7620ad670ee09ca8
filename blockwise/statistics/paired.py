"""Two ways on the same seeds or people: what differs between the values of each pair."""

from collections.abc import Sequence
from dataclasses import dataclass

from blockwise.statistics.spread import Spread

ALPHA = 0.05
LEAST = 3
"""Pairs for a test: the deviation of two differences is known by one degree of freedom."""
LEAST_RANKED = 6
"""Differences for ranks: with five even equal signs have p = 2 / 2**5, above 0.05."""
DIGITS = 12
NOTHING = 10**-DIGITS
"""Deviations up to this are those of rounding: accuracies are whole numbers of images over their count."""


@dataclass(frozen=True)
class Paired:
    """Differences, and how likely as large ones are where there is none; None: there is no test."""

    difference: Spread
    p: float | None  # of Student's paired t-test, two-sided
    p_ranks: float | None = None  # of Wilcoxon's signed ranks, two-sided


def compared(pairs: Sequence[tuple[float, float]]) -> Paired:
    """First minus second of at least one pair.

    Fewer than :data:`LEAST` pairs have no test, and neither have differences that are all equal; fewer than
    :data:`LEAST_RANKED` that are not zero have none of ranks.
    """
    differences = [a - b for a, b in pairs]
    found = Spread.of(differences)
    if len(pairs) < LEAST or not found.deviation or found.deviation <= NOTHING:
        return Paired(found, None)
    from scipy.stats import ttest_rel, wilcoxon  # type: ignore[import-untyped]  # slow to import

    # Equal ones share a rank; by the rounding of each they would not.
    moved = [round(d, DIGITS) for d in differences if abs(d) > NOTHING]
    ranks = float(wilcoxon(moved).pvalue) if len(moved) >= LEAST_RANKED else None
    return Paired(found, float(ttest_rel(*zip(*pairs, strict=True)).pvalue), ranks)
