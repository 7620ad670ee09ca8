"""Means over seeds in figures: how far each may be off, and of how many runs it is."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from blockwise.report.text import shape
from blockwise.statistics.shares import wilson
from blockwise.statistics.spread import Spread

BARS = "bars: standard deviation over seeds or, where n = 1, the test images' 95 % interval"
CAP_POINTS, WIDTH_POINTS = 2.0, 0.8


def conditions(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the runs of a figure share: the network, the images and the epochs."""
    row = rows[0]
    what = f"{row['model']} at width {row['width']} on {row['data']} at {shape(row['in_shape'])}"
    return f"{what}, {row['epochs']} epochs"


def bar(errors: Sequence[float], images: int) -> tuple[float, float]:
    """How far below and above the mean of ``errors`` (shares of as many test images) its bar reaches.

    The standard deviation over seeds; of one run the 95 % score interval, which knows of no other seeds.
    """
    deviation = Spread.of(errors).deviation
    if deviation is not None:
        return deviation, deviation
    low, high = wilson(errors[0], images)
    return errors[0] - low, high - errors[0]


def draw_bars(
    axes: Axes, places: Sequence[float], errors: Sequence[Sequence[float]], images: Sequence[int],
    colour: Any,
) -> None:  # fmt: skip
    """Bars at ``places`` about the means of ``errors``, in percent; none where the images are unknown."""
    for place, found, count in zip(places, errors, images, strict=True):
        if len(found) > 1 or count:
            below, above = (100 * reach for reach in bar(found, count))
            axes.errorbar(
                [place], [100 * Spread.of(found).mean], yerr=[[below], [above]], fmt="none", ecolor=colour,
                elinewidth=WIDTH_POINTS, capsize=CAP_POINTS, alpha=0.6, zorder=1,
            )  # fmt: skip


def told(counts: Iterable[int]) -> str:
    """Of how many runs the points are: n = 3, or that it stands beside each of them."""
    different = sorted(set(counts))
    return f"n = {different[0]}" if len(different) == 1 else "n beside each name"


def beside(name: str, count: int, counts: Iterable[int]) -> str:
    """A point's label, with its number of runs where points differ in it."""
    return f"{name} (n = {count})" if len(set(counts)) > 1 else name
