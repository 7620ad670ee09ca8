"""Bit widths beside each other in each budget: means with their spread, and what is larger than that."""

from collections.abc import Sequence
from typing import Any

from blockwise.report.error_bars import beside, told
from blockwise.report.spreads import (
    MEANS,
    TESTS,
    error_words,
    points_words,
    standing_words,
    tests_words,
)
from blockwise.report.text import ABSENT
from blockwise.report.web.grids import Grid
from blockwise.statistics.standing import Standing
from blockwise.studies.precision_front import Place, fronts, places

Rows = Sequence[dict[str, Any]]


def precision_standings(rows: Rows) -> list[str]:
    """A sentence for each budget: whether the difference is larger than the spread."""
    found = {f"M0/{compression}": own for compression, own in fronts(places(rows)).items()}
    return [f"{budget}, bits: {words}" for budget, own in found.items() if (words := standing_words(own))]


def precision_means(rows: Rows) -> tuple[Grid, ...]:
    """Means over seeds, and what each bit width lies above the lowest of its budget."""
    found = places(rows)
    cells = {(p.compression, p.bits): p for p in found}
    budgets, bits = sorted({p.compression for p in found}), sorted({p.bits for p in found})
    head = ("bits", *(f"M0/{compression}" for compression in budgets))
    counts = [place.over_seeds.runs for place in found]
    means = tuple((str(b), *(_mean(cells.get((c, b)), counts) for c in budgets)) for b in bits)
    judged = fronts(found)
    above = tuple((str(b), *(_above(judged.get(c), str(b)) for c in budgets)) for b in bits)
    return (
        Grid(f"Width: mean test error, {_number(counts)}", head, means, 1, notes=(MEANS,)),
        Grid("Points above the lowest of the budget; p", head, above, 1, notes=(LEGEND, TESTS)),
    )


LEGEND = "Differences are of equal seeds, mean ± standard deviation; =: a tie with the lowest of the budget."


def _number(counts: Sequence[int]) -> str:
    return told(counts).replace("name", "mean")


def _mean(place: Place | None, counts: Sequence[int]) -> str:
    if place is None:
        return ABSENT
    return beside(f"{place.width}: {error_words(place.over_seeds)}", place.over_seeds.runs, counts)


def _above(judged: Standing | None, bits: str) -> str:
    """0 of the lowest itself: +1.2 ± 0.4; 0.012, with = behind a tie."""
    if judged is None:
        return ABSENT
    if judged.leader == bits:
        return "lowest"
    rival = next((rival for rival in judged.rivals if rival.name == bits), None)
    if rival is None or rival.beside is None:
        return ABSENT
    tie = "" if rival.behind else " ="
    return f"{points_words(rival.beside)}; {tests_words(rival.beside)}{tie}"
