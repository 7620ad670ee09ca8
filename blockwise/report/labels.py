"""Names beside the points of a figure, moved apart where they would cover each other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

SAME_PLACE = 1.2
"""Points whose x differ by no more than this factor share a column of labels."""
LABEL_POINTS = 9.5
"""Height of a line of labels."""
DISTANCE = 1.08
"""From the outermost point of a column to its labels, as a factor of x."""
CHARACTER_POINTS, MARKER_POINTS = 3.3, 3.0
"""Width of a letter of a label, and half of a marker's, on the generous side."""
SPARE_POINTS = 10.0
"""Beyond the outermost label."""
MARGINS = (0.13, 0.1)
"""Room for labels beyond the outermost points, as parts of both axes."""
LEADER: dict[str, Any] = {"linewidth": 0.5, "color": "0.7", "zorder": 0.8}
"""Lines from labels to points, below all that is drawn."""
BACKGROUND: dict[str, Any] = {
    "boxstyle": "square,pad=0.05",
    "facecolor": "white",
    "edgecolor": "none",
    "alpha": 0.8,
}
"""Of a label: what it has to cover, such as a long bar, does not strike it out."""


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


def label_both(axes: Axes, points: Sequence[Named], others: Sequence[Named]) -> None:
    """Write the names of what lies further left to the left, and so over none of the bars of the other.

    Where neither does, those of ``others`` stand to the left.
    """
    if points and others and median(p.x for p in points) < median(p.x for p in others):
        points, others = others, points
    label(axes, points)
    label(axes, others, left=True)


def label(axes: Axes, points: Iterable[Named], *, left: bool = False) -> None:
    """Write the names to the right of their columns, or to the left, when all points are drawn."""
    axes.margins(*MARGINS)
    low, high = axes.get_ylim()
    gap = (high - low) * LABEL_POINTS / (72 * axes.bbox.height / axes.figure.dpi)
    placed = [(column, _edge(column, left=left)) for column in columns(points)]
    _make_room(axes, placed, left=left)
    heights = []
    for column, x in placed:
        column = sorted(column, key=lambda point: point.y)
        there = _drawn(axes)
        spans = [_span(axes, x, p.name, left=left) for p in column]
        beside = [[y for y, low, high in there if low < end and start < high] for start, end in spans]
        own = clear(spread([p.y for p in column], gap), beside, gap)
        heights += own
        for point, y in zip(column, own, strict=True):
            axes.add_artist(Line2D([point.x, x], [point.y, y], **LEADER))
            axes.annotate(
                point.name, (point.x, point.y), xytext=(x, y), ha="right" if left else "left",
                va="center", fontsize="x-small", bbox=BACKGROUND,
            )  # fmt: skip
    if heights:  # none lies on the frame
        axes.set_ylim(min(low, min(heights) - gap), max(high, max(heights) + gap))


def _edge(column: Sequence[Named], *, left: bool) -> float:
    """Where the labels of a column begin, or end."""
    return min(p.x for p in column) / DISTANCE if left else max(p.x for p in column) * DISTANCE


def _make_room(axes: Axes, placed: Iterable[tuple[Sequence[Named], float]], *, left: bool) -> None:
    """Widen the x axis until the labels stand within it."""
    ends = [_span(axes, x, p.name, left=left)[not left] for column, x in placed for p in column]
    if not ends:
        return
    limits = [float(limit) for limit in axes.get_xlim()]
    edges = _points(axes, limits)
    outermost = min(ends) if left else max(ends)
    beyond = SPARE_POINTS + (edges[0] - outermost if left else outermost - edges[1])
    if beyond > 0:  # the wider axis is drawn on the same width
        width = edges[1] - edges[0]
        share = beyond / max(width - beyond, width / 4)
        factor = (limits[1] / limits[0]) ** share
        axes.set_xlim(*(limits[0] / factor, limits[1]) if left else (limits[0], limits[1] * factor))


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


def _drawn(axes: Axes) -> list[tuple[float, float, float]]:
    """Where markers and labels stand: y in data coordinates, and from where to where in points."""
    found: list[tuple[float, float, float]] = []
    for drawn in axes.collections:
        if isinstance(drawn, PathCollection):
            places = np.asarray(drawn.get_offsets())
            centres = _points(axes, [float(x) for x, _ in places])
            found += [
                (float(y), at - MARKER_POINTS, at + MARKER_POINTS)
                for (_, y), at in zip(places, centres, strict=True)
            ]
    for text in axes.texts:
        if isinstance(text, Annotation):
            x, y = text.xyann
            found.append(
                (y, *_span(axes, x, text.get_text(), left=text.get_horizontalalignment() == "right"))
            )
    return found


def _span(axes: Axes, x: float, name: str, *, left: bool) -> tuple[float, float]:
    """From where to where a label that begins, or ends, at ``x`` reaches, in points."""
    (at,) = _points(axes, [x])
    width = len(name) * CHARACTER_POINTS
    return (at - width, at) if left else (at, at + width)


def _points(axes: Axes, places: Sequence[float]) -> list[float]:
    """Places on the x axis in points from the figure's edge."""
    if not places:
        return []
    pixels = axes.transData.transform([(x, 1) for x in places])[:, 0]
    return [float(x) for x in pixels * 72 / axes.figure.dpi]
