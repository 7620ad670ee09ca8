"""Accuracies of trained rows of a front: a mark only where test images tell."""

from types import SimpleNamespace
from typing import Any, cast

from blockwise.fit.result import FrontRow
from blockwise.report.fit import _accuracy
from blockwise.statistics.shares import apart


def row(peak: int, accuracy: float | None, images: int = 359) -> FrontRow:
    confirmed = cast("Any", SimpleNamespace(measured=SimpleNamespace(peak_bytes=peak)))
    return FrontRow(confirmed, 0, accuracy, test_images=images)


def test_a_row_is_marked_where_its_interval_is_above_those_of_all_leaner_ones() -> None:
    rows = (row(100, 0.90), row(200, 0.92), row(300, 0.97), row(400, None))
    assert not apart(0.90, 0.92, 359) and apart(0.92, 0.97, 359)
    assert [_accuracy(each, rows) for each in rows] == ["90.0 +", "92.0  ", "97.0 +", "-"]


def test_the_same_lead_on_more_images_is_marked() -> None:
    rows = (row(100, 0.90, 10_000), row(200, 0.92, 10_000), row(300, 0.80, 10_000))
    assert [_accuracy(each, rows) for each in rows] == ["90.0 +", "92.0 +", "80.0  "]
