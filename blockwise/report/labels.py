"""Names beside the points of a figure, moved apart where they would cover each other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

SAME_PLACE = 1.2
"""Points whose x differ by no more than this factor share a column of labels."""
LABEL_POINTS = 9.5
"""Height of a line of labels."""
DISTANCE = 1.08
"""From the outermost point of a column to its labels, as a factor of x."""
CHARACTER_POINTS, MARKER_POINTS = 3.3, 3.0
"""Width of a letter of a label, and half of a marker's, on the generous side."""
MARGINS = (0.13, 0.1)
"""Room for labels beyond the outermost points, as parts of both axes."""
LEADER = {"arrowstyle": "-", "linewidth": 0.5, "color": "0.7", "shrinkA": 0, "shrinkB": 2}


@dataclass(frozen=True)
class Named:
    """A point and its label."""

    x: float
    y: float
    name: str


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """The positions nearest to these, by least squares, in the same order and ``gap`` or more apart."""
    # Imported here: it takes longer than the rest of the program's start.
    from sklearn.isotonic import isotonic_regression  # type: ignore[import-untyped]

    if not positions:
        return []
    order = np.argsort(positions, kind="stable")
    steps = gap * np.arange(len(positions))
    moved = np.empty(len(positions))
    moved[order] = isotonic_regression(np.asarray(positions, dtype=float)[order] - steps) + steps
    return [float(value) for value in moved]


def columns(points: Iterable[Named]) -> list[list[Named]]:
    """The points by their places on a logarithmic x axis."""
    found: list[list[Named]] = []
    for point in sorted(points, key=lambda point: point.x):
        if found and point.x <= SAME_PLACE * found[-1][-1].x:
            found[-1].append(point)
        else:
            found.append([point])
    return found


def label(axes: Axes, points: Iterable[Named], *, left: bool = False) -> None:
    """Write the names to the right of their columns, or to the left, when all points are drawn."""
    axes.margins(*MARGINS)
    low, high = axes.get_ylim()
    gap = (high - low) * LABEL_POINTS / (72 * axes.bbox.height / axes.figure.dpi)
    markers = _markers(axes)
    for column in columns(points):
        x = min(p.x for p in column) / DISTANCE if left else max(p.x for p in column) * DISTANCE
        column = sorted(column, key=lambda point: point.y)
        beside = [[y for at, y in markers if _covered(axes, at, x, p.name, left=left)] for p in column]
        for point, y in zip(column, clear(spread([p.y for p in column], gap), beside, gap), strict=True):
            axes.annotate(
                point.name, (point.x, point.y), xytext=(x, y), ha="right" if left else "left",
                va="center", fontsize="x-small", arrowprops=LEADER | {"relpos": (float(left), 0.5)},
            )  # fmt: skip


def clear(positions: Sequence[float], obstacles: Sequence[Sequence[float]], gap: float) -> list[float]:
    """The positions (rising), moved up or all down until each is ``gap`` from its obstacles and the rest."""
    up = _upwards(positions, obstacles, gap)
    below = [[-y for y in own] for own in reversed(obstacles)]
    down = [-place for place in reversed(_upwards([-place for place in reversed(positions)], below, gap))]
    return min(up, down, key=lambda moved: sum(abs(a - b) for a, b in zip(moved, positions, strict=True)))


def _upwards(positions: Sequence[float], obstacles: Sequence[Sequence[float]], gap: float) -> list[float]:
    found: list[float] = []
    for position, own in zip(positions, obstacles, strict=True):
        place = max(position, found[-1] + gap) if found else position
        for obstacle in sorted(own):
            if abs(obstacle - place) < gap * (1 - 1e-9):
                place = obstacle + gap
        found.append(place)
    return found


def _markers(axes: Axes) -> list[tuple[float, float]]:
    """Where markers stand, in data coordinates."""
    found: list[tuple[float, float]] = []
    for drawn in axes.collections:
        if isinstance(drawn, PathCollection):
            found += [(float(x), float(y)) for x, y in np.asarray(drawn.get_offsets())]
    return found


def _covered(axes: Axes, at: float, x: float, name: str, *, left: bool) -> bool:
    """Whether a label that begins at ``x`` reaches over what stands ``at`` there."""
    points = (axes.transData.transform([(at, 1), (x, 1)])[:, 0] * 72 / axes.figure.dpi).tolist()
    beyond = points[1] - points[0] if left else points[0] - points[1]
    return bool(-MARKER_POINTS < beyond < len(name) * CHARACTER_POINTS + MARKER_POINTS)
