"""Who leads and who ties, against Benjamini and Hochberg's own example and by hand."""

import pytest
from scipy.stats import ttest_rel  # type: ignore[import-untyped]

from blockwise.report.spreads import standing_words
from blockwise.statistics.shares import apart
from blockwise.statistics.standing import Contestant, _rejected, standing

PUBLISHED = (
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
    0.7590, 1.0,
)  # fmt: skip
"""JRSS B 57 (1995), page 295: the procedure rejects the first four at 5 %."""


def test_false_discoveries_are_held_as_in_the_published_example():
    assert _rejected(PUBLISHED) == [True] * 4 + [False] * 11
    assert _rejected([PUBLISHED[8], None, PUBLISHED[0]]) == [True, False, True]  # 0.0459 of two: at most 0.05
    assert _rejected([None]) == [False]


def contestant(name: str, *errors: float, images: int = 5_000) -> Contestant:
    return Contestant(name, dict(enumerate(errors)), images)


def test_three_shared_seeds_are_tested_pair_by_pair():
    a, near, far = (0.10, 0.12, 0.11), (0.105, 0.118, 0.116), (0.16, 0.179, 0.17)
    found = standing([contestant("far", *far), contestant("near", *near), contestant("a", *a)])
    assert found is not None
    assert (found.leader, found.ties) == ("a", ("near",))
    assert [(r.name, r.tested, r.behind) for r in found.rivals] == [
        ("near", True, False),
        ("far", True, True),
    ]
    beside = found.rivals[1].beside
    assert beside is not None and beside.p == pytest.approx(ttest_rel(far, a).pvalue)
    assert standing_words(found) == (
        "a has the lowest error; a tie with it: near (paired t-tests, n = 3, false discoveries held at 5 %)."
    )


def test_fewer_seeds_are_judged_by_their_test_images_and_unknown_ones_tell_nothing():
    found = standing([contestant("a", 0.10), contestant("b", 0.11), contestant("c", 0.13, 0.15)])
    assert found is not None
    assert apart(0.10, 0.14, 5_000) and not apart(0.10, 0.11, 5_000)
    assert (found.leader, found.ties) == ("a", ("b",))
    assert standing_words(found).endswith(
        "(fewer than 3 shared seeds: by the test images' 95 % intervals, seeds aside)."
    )
    blind = standing([contestant("a", 0.1, images=0), contestant("b", 0.9, images=0)])
    assert blind is not None and blind.ties == ("b",)


def test_the_best_is_told_from_everyone_and_equal_bits_are_a_tie():
    a = (0.10, 0.12, 0.11)
    found = standing([contestant("a", *a), contestant("same", *a), contestant("b", 0.2, 0.22, 0.21)])
    assert found is not None and found.ties == ("same",)
    assert found.rivals[1].behind  # by 0.1 under every seed, of which there is no test
    alone = standing([contestant("a", *a), contestant("b", 0.2, 0.23, 0.21)])
    assert standing_words(alone).startswith("a is the best of 2 (paired t-tests, n = 3")


def test_who_is_better_on_the_shared_seeds_is_not_behind_a_leader_that_lost_one():
    lucky = Contestant("lucky", {0: 0.30}, 5_000, lost=1)
    found = standing([lucky, contestant("steady", 0.29, 0.40)])
    assert found is not None and (found.leader, found.ties, found.lost) == ("lucky", ("steady",), 1)
    assert standing_words(found).startswith(
        "lucky has the lowest error, though 1 of its seeds lost their way;"
    )


def test_nobody_leads_where_nobody_has_an_error_and_one_alone_has_nothing_to_be_told_from():
    assert standing([contestant("lost")]) is None
    assert standing_words(standing([contestant("a", 0.1), contestant("lost")])) == ""
