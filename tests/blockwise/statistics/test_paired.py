"""Paired tests against a published example and against counting."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from blockwise.statistics.paired import compared

FIRST = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
SECOND = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)
"""Additional hours of sleep under two drugs (Student 1908); the paired test of R's manual, ?t.test."""


def test_the_paired_t_test_is_that_of_students_own_example():
    found = compared(list(zip(FIRST, SECOND, strict=True)))
    assert found.p == pytest.approx(0.002833, abs=5e-7)
    assert found.difference.mean == pytest.approx(-1.58)
    assert found.difference.interval == pytest.approx((-2.4598858, -0.7001142), abs=5e-8)


def test_the_ranks_of_six_have_the_chance_that_counting_all_signs_gives():
    differences = (0.03, 0.05, -0.01, 0.06, 0.02, 0.07)
    ranks = (3, 4, 1, 5, 2, 6)

    def lower(signs: tuple[int, ...]) -> int:
        up = sum(r for r, s in zip(ranks, signs, strict=True) if s > 0)
        return min(up, sum(ranks) - up)

    own = lower(tuple(1 if d > 0 else -1 for d in differences))
    ways = [lower(signs) <= own for signs in product((1, -1), repeat=6)]
    found = compared([(d, 0.0) for d in differences])
    assert found.p_ranks == pytest.approx(sum(ways) / len(ways)) == pytest.approx(4 / 64)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(300, 359), st.integers(300, 359)), min_size=6, max_size=10))
def test_equal_differences_of_shares_share_a_rank(images):
    """As whole numbers of images have it."""
    moved = [a - b for a, b in images if a != b]
    found = compared([(a / 359, b / 359) for a, b in images])
    if len(moved) < 6 or len({a - b for a, b in images}) == 1:
        assert found.p_ranks is None
    else:
        assert found.p_ranks == pytest.approx(float(wilcoxon(moved).pvalue), abs=1e-12)


@pytest.mark.parametrize(
    "pairs",
    [[(0.9, 0.8)], [(0.9, 0.8), (0.7, 0.5)], [(0.9, 0.8), (0.8, 0.7), (0.7, 0.6)], [(0.5, 0.5)] * 4],
    ids=["one", "two", "equal but for rounding", "nothing differs"],
)
def test_few_pairs_and_equal_differences_have_no_test(pairs):
    assert (compared(pairs).p, compared(pairs).p_ranks) == (None, None)


def test_five_differences_and_zeros_beside_five_have_no_test_of_ranks():
    moved = [(0.1, 0.0), (0.2, 0.0), (0.3, 0.0), (0.4, 0.0), (0.5, 0.0)]
    assert compared(moved).p_ranks is None and compared([*moved, (0.2, 0.2)]).p_ranks is None
    assert compared([*moved, (0.6, 0.0)]).p_ranks == pytest.approx(2 / 2**6)
