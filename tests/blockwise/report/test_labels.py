"""Labels that keep their distance."""

from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from blockwise.report import integers, qat
from blockwise.report.labels import Named, clear, columns, label, label_both, spread
from blockwise.studies.jobs import revision_of
from blockwise.studies.records import read
from blockwise.studies.summary import summaries

RECORDS = Path(__file__).parents[3] / "results" / "studies"

positions = st.lists(st.floats(-100, 100), max_size=12)


@settings(max_examples=100)
@given(values=positions, gap=st.floats(0.1, 5))
def test_labels_keep_their_order_their_distance_and_their_centre(values, gap):
    moved = spread(values, gap)
    order = sorted(range(len(values)), key=values.__getitem__)
    for first, second in pairwise(order):
        assert moved[second] - moved[first] >= gap - 1e-9
    assert sum(moved) == pytest.approx(sum(values), abs=1e-6)


def test_the_least_that_has_to_move_moves():
    assert spread([5.0, 1.0, 9.0], 2) == [5, 1, 9]
    assert spread([5.0, 5.0, 20.0], 2) == [4, 6, 20]
    assert spread([1.0, 2.0, 3.0], 2) == [0, 2, 4]


def test_a_column_is_what_lies_at_one_place_of_a_logarithmic_axis():
    points = [Named(x, 0, str(x)) for x in (32, 3, 3.1, 1, 3.4)]
    assert [[p.x for p in column] for column in columns(points)] == [[1], [3, 3.1, 3.4], [32]]


@settings(max_examples=100)
@given(values=positions, obstacles=positions, gap=st.floats(0.1, 5))
def test_what_is_moved_clear_keeps_its_order_and_its_distance(values, obstacles, gap):
    moved = clear(sorted(values), [obstacles] * len(values), gap)
    for first, second in pairwise(moved):
        assert second - first >= gap - 1e-6
    for place in moved:
        assert all(abs(place - obstacle) >= gap - 1e-6 for obstacle in obstacles)


def test_what_is_clear_stays():
    assert clear([1.0, 5.0], [[3.0]] * 2, 2) == [1, 5]
    assert clear([1.0, 5.0], [[], [1.5]], 2) == [1, 5]
    assert clear([1.0, 2.0], [[1.5, 4.0]] * 2, 1) == [-0.5, 0.5]  # 3 in all, and upwards to 2.5 and 5 more
    assert clear([1.0, 2.0], [[0.5, 1.2]] * 2, 1) == [2.2, 3.2]


@pytest.mark.slow
def test_a_label_makes_way_for_a_marker_beside_its_own():
    figure = Figure(figsize=(8, 6))
    axes = figure.subplots()
    axes.scatter([3, 3.5, 9], [30, 30, 40])
    axes.set_xscale("log")
    label(axes, [Named(3, 30, "a long name")])
    figure.draw_without_rendering()
    (text,) = axes.texts
    neighbour = axes.transData.transform((3.5, 30))
    box = Text.get_window_extent(text)
    assert box.x0 < neighbour[0] < box.x1
    assert not box.contains(*neighbour)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["qat_short", "qat_full", "integer_short"])
def test_no_label_of_a_recorded_figure_lies_over_a_marker_another_label_or_the_axis(name):
    rows = [row for row in read(RECORDS / f"{name}.jsonl") if row["revision"] == revision_of(row["regime"])]
    figure = integers._figure(rows, summaries(rows)) if name == "integer_short" else qat._figure(rows)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    drawn = [c for c in axes.collections if isinstance(c, PathCollection)]
    markers = [axes.transData.transform(place) for c in drawn for place in c.get_offsets()]
    assert len(markers) == len(axes.texts) > 5
    boxes = [(text.get_text(), Text.get_window_extent(text)) for text in axes.texts]
    for label_of, box in boxes:
        assert not [place for place in markers if box.contains(*place)], label_of
        assert axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1, label_of
        assert axes.bbox.y0 <= box.y0 and box.y1 <= axes.bbox.y1, label_of
    for (one, box), (other, beside) in combinations(boxes, 2):
        assert not box.overlaps(beside), (one, other)


@pytest.mark.parametrize("left", [False, True])
def test_no_label_covers_another(left):
    figure = Figure(figsize=(8, 6))
    axes = figure.subplots()
    points = [Named(3 + i / 100, 30 + i / 50, f"name {i}") for i in range(9)]
    axes.scatter([p.x for p in points], [p.y for p in points])
    axes.set_xscale("log")
    label(axes, points, left=left)
    figure.draw_without_rendering()
    places = sorted(axes.transData.transform([t.xyann for t in axes.texts]).tolist(), key=lambda p: p[1])
    height = max(Text.get_window_extent(t).height for t in axes.texts)
    assert len(places) == 9 and height > 5
    assert all(above[1] - below[1] >= height for below, above in pairwise(places))
    points_at = axes.transData.transform([(p.x, p.y) for p in points])[:, 0]
    assert all(x < points_at.min() if left else x > points_at.max() for x, _ in places)


def test_names_stand_on_the_side_where_their_points_do():
    low, high = [Named(1, 30, "a"), Named(2, 40, "b")], [Named(3, 30, "c"), Named(4, 40, "d")]
    for groups in ((low, high), (high, low)):
        axes = Figure().subplots()
        axes.scatter([1, 2, 3, 4], [30, 40, 30, 40])
        axes.set_xscale("log")
        label_both(axes, *groups)
        sides = {text.get_text(): text.get_horizontalalignment() for text in axes.texts}
        assert sides == {"a": "right", "b": "right", "c": "left", "d": "left"}


def test_names_of_points_of_one_regime_say_their_cut_where_only_that_tells_them_apart():
    lines = [line for line in read(RECORDS / "qat_short.jsonl") if line["revision"] == 1]
    found = [s for s in summaries(lines) if s.errors and s.head]
    names = {(s.head, s.blocks): qat._names(found)(s) for s in found if s.weight_bits == 3}
    assert names["lookahead:64", "4"] == "lsq, lookahead:64, cut 4"
    assert names["lookahead:64", "residual"] == "lsq, lookahead:64, cut residual"
    assert names["gap", "4"] == "lsq, gap"
