"""Bars about means: over seeds, or what the test images of a single run leave open."""

import pytest
from matplotlib.figure import Figure
from scipy.stats import binomtest

from blockwise.report.error_bars import bar, beside, draw_bars, told


def test_a_bar_is_the_standard_deviation_of_the_seeds():
    assert bar([0.1, 0.2, 0.3], 5_000) == pytest.approx((0.1, 0.1))  # by n - 1


def test_the_bar_of_one_run_is_the_score_interval_of_its_test_images():
    below, above = bar([0.3], 1_000)
    found = binomtest(300, 1_000).proportion_ci(method="wilson")
    assert (0.3 - below, 0.3 + above) == pytest.approx((found.low, found.high))


def test_bars_are_drawn_in_percent_where_they_are_known():
    axes = Figure().subplots()
    draw_bars(axes, [1, 2, 3], [(0.1, 0.3), (0.2,), (0.4,)], [0, 100, 0], "k")
    spans = [c.get_segments()[0][:, 1].tolist() for c in axes.collections]
    low, high = (100 * p for p in binomtest(20, 100).proportion_ci(method="wilson"))
    assert spans[0] == pytest.approx([20 - 100 * 0.02**0.5, 20 + 100 * 0.02**0.5])
    assert spans[1] == pytest.approx([low, high])
    assert len(spans) == 2  # one seed on nobody knows how many images


def test_the_number_of_runs_is_told_once_or_beside_each_point():
    assert (told([3, 3]), beside("lsq", 3, [3, 3])) == ("n = 3", "lsq")
    assert (told([1, 3]), beside("lsq", 3, [1, 3])) == ("n beside each name", "lsq (n = 3)")
