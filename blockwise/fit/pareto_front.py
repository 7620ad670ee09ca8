"""The Pareto front: what no other point beats in every objective."""

from collections.abc import Sequence

Objectives = tuple[float, ...]


def pareto(points: Sequence[Objectives]) -> tuple[tuple[int, ...], ...]:
    """The numbers of the points that no other dominates, equal points as one group.

    Every objective is minimised. A point dominates another if it is nowhere larger and not equal.
    Groups come in ascending order of their objectives, numbers in a group in ascending order.
    """
    groups: dict[Objectives, list[int]] = {}
    for number, point in enumerate(points):
        groups.setdefault(point, []).append(number)
    kept: list[Objectives] = []
    for point in sorted(groups):  # whatever dominates it has come before it
        if not any(all(a <= b for a, b in zip(other, point, strict=True)) for other in kept):
            kept.append(point)
    return tuple(tuple(groups[point]) for point in kept)
