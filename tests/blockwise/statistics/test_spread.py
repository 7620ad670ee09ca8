"""Mean, deviation and interval of the mean against R's t.test and against arithmetic."""

import pytest

from blockwise.statistics.spread import Spread

SLEEP = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
"""Additional hours under the first drug (Student 1908, Biometrika 6, 1-25, page 20)."""


def test_mean_and_deviation_are_those_that_student_prints():
    found = Spread.of(SLEEP)
    assert (found.mean, found.n) == (pytest.approx(0.75), 10)
    assert found.deviation is not None
    assert found.deviation * (9 / 10) ** 0.5 == pytest.approx(1.70, abs=5e-3)  # his is divided by n


def test_the_interval_is_the_mean_and_as_many_standard_errors_as_the_table_of_t_has():
    found = Spread.of((1.0, 2.0, 6.0))
    assert found.deviation == pytest.approx(7**0.5)
    reach = 4.302653 * (7 / 3) ** 0.5  # t of 2 degrees of freedom at 97.5 %
    assert found.interval == pytest.approx((3 - reach, 3 + reach), rel=1e-6)


def test_one_value_has_no_deviation_and_equal_ones_have_one_of_zero():
    assert (Spread.of([0.4]).deviation, Spread.of([0.4]).interval) == (None, None)
    assert (Spread.of([0.4, 0.4]).deviation, Spread.of([0.4, 0.4]).interval) == (0, (0.4, 0.4))
