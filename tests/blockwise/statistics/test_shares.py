"""Wilson's interval against scipy's, and ties against their own promise."""

from itertools import product

import pytest
from scipy.stats import binom, binomtest  # type: ignore[import-untyped]

from blockwise.statistics.shares import apart, at_chance, half_width, wilson

COUNTS = [(0, 1), (1, 1), (0, 70), (70, 70), (347, 359), (349, 359), (8112, 10_000)]


def published(correct: int, images: int) -> tuple[float, float]:
    found = binomtest(correct, images).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


@pytest.mark.parametrize(("correct", "images"), COUNTS)
def test_the_interval_is_wilsons_as_scipy_has_it(correct, images):
    assert wilson(correct / images, images) == pytest.approx(published(correct, images), abs=1e-12)
    low, high = published(correct, images)
    assert half_width(correct / images, images) == pytest.approx((high - low) / 2)


def test_seventy_of_seventy_is_not_certainty():
    low, high = wilson(1.0, 70)
    assert high == 1.0 and low == pytest.approx(0.948, abs=5e-4)
    assert wilson(0.0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("a", "b", "images", "told"),
    [(0.9666, 0.9499, 359, False), (0.91, 0.97, 359, True), (1.0, 0.9, 70, False)],
)
def test_two_accuracies_are_apart_where_their_intervals_share_no_point(a, b, images, told):
    below = published(round(max(a, b) * images), images)[0]
    above = published(round(min(a, b) * images), images)[1]
    assert apart(a, b, images) == apart(b, a, images) == (below > above) == told


def test_shares_of_other_numbers_of_images_have_intervals_of_their_own():
    assert apart(0.8, 0.9, 100, 10_000) and apart(0.9, 0.8, 10_000, 100)
    assert not apart(0.8, 0.9, 100) and not apart(0.85, 0.9, 100, 10_000)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.97])
def test_equal_accuracies_are_told_apart_in_hardly_one_of_a_hundred_samples(share):
    """Counted over all pairs of outcomes, with their probabilities."""
    images = 120
    chances = [(k, binom.pmf(k, images, share)) for k in range(images + 1)]
    likely = [(k, p) for k, p in chances if p > 1e-7]
    wrong = sum(
        p * q for (i, p), (j, q) in product(likely, repeat=2) if apart(i / images, j / images, images)
    )
    assert 0 < wrong < 0.01


@pytest.mark.parametrize(
    ("correct", "images", "classes", "told"),
    [
        (36, 359, 10, True),
        (45, 359, 10, True),
        (60, 359, 10, False),
        (180, 359, 2, True),
        (35, 359, 0, False),
    ],
)
def test_at_chance_is_what_the_test_images_do_not_tell_from_guessing(correct, images, classes, told):
    assert at_chance(correct / images, images, classes) == told
    if classes:
        assert (published(correct, images)[0] <= 1 / classes) == told
