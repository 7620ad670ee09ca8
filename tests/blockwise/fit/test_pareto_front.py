"""The Pareto front, against its definition."""

from hypothesis import given
from hypothesis import strategies as st

from blockwise.fit import pareto

POINTS = st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=30)


def dominates(one, other):
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


@given(points=POINTS)
def test_the_front_is_what_nothing_dominates(points):
    expected = {i for i, p in enumerate(points) if not any(dominates(other, p) for other in points)}
    assert {i for group in pareto(points) for i in group} == expected


@given(points=POINTS)
def test_groups_hold_equal_points_and_come_in_order(points):
    groups = pareto(points)
    values = [points[group[0]] for group in groups]
    assert values == sorted(set(values))
    for group, value in zip(groups, values, strict=True):
        assert group == tuple(i for i, point in enumerate(points) if point == value)


def test_by_hand():
    assert pareto([(3.0, 1.0), (1.0, 3.0), (2.0, 2.0), (3.0, 1.0), (2.0, 3.0)]) == ((1,), (2,), (0, 3))
    assert pareto([]) == ()
