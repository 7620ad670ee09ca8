"""The front of the precision study with error bars: made-up seeds, whose tests scipy repeats."""

import html
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import false_discovery_control, ttest_rel  # type: ignore[import-untyped]

from blockwise.report.precision import precision_table
from blockwise.report.precision_front import precision_means, precision_standings
from blockwise.report.web.study import study_page
from blockwise.studies.precision import Point
from blockwise.studies.precision_front import fronts, places
from blockwise.studies.records import read

RECORD = Path(__file__).parents[3] / "results" / "studies" / "precision_short.jsonl"
FIGURE = '<svg xmlns="http://www.w3.org/2000/svg"><g/></svg>'
MADE_UP: dict[tuple[int, int], tuple[float | None, ...]] = {
    (4, 2): (0.449, 0.461, 0.455),
    (4, 3): (0.435, 0.447, 0.444),  # the lowest of its budget
    (4, 8): (0.433, 0.455, 0.447),  # within the spread of it
    (8, 2): (0.60, 0.62),
    (8, 3): (0.489, 0.480, None),
    (8, 8): (0.461, 0.455, 0.902),
}


def rows() -> list[dict[str, Any]]:
    """Lines as the study records them, with other errors."""
    first = read(RECORD)[0]
    return [
        first | {
            "compression": compression, "bits": bits, "width": 20 // bits, "seed": seed, "classes": 10,
            "key": f"{compression}-{bits}-{seed}", "test_error": error,
        }
        for (compression, bits), errors in MADE_UP.items()
        for seed, error in enumerate(errors)
    ]  # fmt: skip


def cell(grid: int, bits: str, budget: str) -> str:
    found = precision_means(rows())[grid]
    return {row[0]: row for row in found.rows}[bits][found.head.index(budget)]


def test_each_budget_tells_whether_the_difference_is_larger_than_the_spread() -> None:
    judged = fronts(places(rows()))[4]
    chances = [ttest_rel(MADE_UP[4, bits], MADE_UP[4, 3]).pvalue for bits in (8, 2)]
    held = false_discovery_control(chances)
    assert [(r.name, r.behind) for r in judged.rivals] == [("8", held[0] < 0.05), ("2", held[1] < 0.05)]
    assert (judged.leader, judged.ties) == ("3", ("8",))
    first, second = precision_standings(rows())
    assert first.startswith("M0/4, bits: 3 has the lowest error; a tie with it: 8 (paired t-tests, n = 3")
    assert second.startswith("M0/8, bits: 3 has the lowest error, though 1 of its seeds lost")


def test_means_stand_with_spread_and_number_beside_the_differences_and_their_tests() -> None:
    assert cell(0, "3", "M0/4") == "6: 44.2 ± 0.6% (n = 3)"
    assert cell(1, "3", "M0/4") == "lowest"
    p = ttest_rel(MADE_UP[4, 2], MADE_UP[4, 3]).pvalue
    assert cell(1, "2", "M0/4") == f"+1.3 ± 0.2; {p:.3f}"
    assert cell(1, "8", "M0/4").endswith(" =") and cell(0, "2", "M0/8") == "10: 61.0 ± 1.4% (n = 2)"


def test_seeds_that_lost_their_way_are_counted_and_shown() -> None:
    assert cell(0, "3", "M0/8") == "6: 48.4 ± 0.6%, 1 diverged (n = 3)"
    assert cell(0, "8", "M0/8") == "2: 60.6 ± 25.6%, 1 at chance (n = 3)"
    assert cell(1, "8", "M0/8") == "-2.6 ± 0.2; n < 3 ="  # the third is the one at chance


def test_the_page_shows_both_tables_and_the_terminal_the_means() -> None:
    page = html.unescape(study_page("made up", rows(), FIGURE, *precision_means(rows())))
    assert "Points above the lowest of the budget; p" in page and "44.2 ± 0.6%" in page
    points = [Point(compression, bits, 20 // bits, 1, 1) for compression, bits in MADE_UP]
    table = precision_table(points, rows()).table
    assert "6, 44.2 ± 0.6%" in list(table.columns[1].cells)


@pytest.mark.parametrize("lost", [None, 0.9])
def test_a_budget_in_which_only_one_has_an_error_has_nothing_to_tell(lost: float | None) -> None:
    line = rows()[0]
    assert precision_standings([line | {"test_error": lost}]) == []
