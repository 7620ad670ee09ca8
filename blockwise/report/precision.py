"""The precision study on the terminal and as a figure: error against bits, one curve per budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.text import Text

from blockwise.report.error_bars import BARS, draw_bars
from blockwise.report.figures import LEGEND, save_figure
from blockwise.report.side_by_side import Ruled, ruled_table
from blockwise.report.spreads import error_words
from blockwise.report.text import ABSENT, shape
from blockwise.statistics.spread import Spread
from blockwise.studies.precision_front import Place, places

if TYPE_CHECKING:
    from blockwise.studies.precision import Point

SIZE_IN = (7.0, 4.2)
MARKERS = "osD^vP*X"

Rows = Sequence[dict[str, Any]]


def precision_table(points: Iterable[Point], rows: Rows) -> Ruled:
    """Width and mean test error, a row per bit width, a column per compression."""
    points = tuple(points)
    found = {(place.compression, place.bits): place for place in places(rows)}
    compressions = sorted({point.compression for point in points})
    widths = {(point.compression, point.bits): point.width for point in points}
    table = ruled_table()
    table.add_column(Text("bits", style="bold"), justify="right")
    for compression in compressions:
        table.add_column(Text(f"M0/{compression}: width, error", style="bold"), justify="right")
    for bits in sorted({point.bits for point in points}):
        keys = [(compression, bits) for compression in compressions]
        table.add_row(str(bits), *(f"{widths[key]}, {_error(found.get(key))}" for key in keys))
    return Ruled(table)


def _error(place: Place | None) -> str:
    return ABSENT if place is None else error_words(place.over_seeds)


def draw_precision(rows: Rows, stem: Path) -> tuple[Path, Path]:
    """Draw the recorded runs to ``stem``.svg and ``stem``.png; returns the two paths."""
    return save_figure(lambda: _figure(rows), stem)


def _errors(rows: Rows) -> dict[tuple[int, int], list[float]]:
    """Of the places that have any: what diverged has none."""
    found = {(place.compression, place.bits): list(place.over_seeds.values) for place in places(rows)}
    return {key: errors for key, errors in found.items() if errors}


def _figure(rows: Rows) -> Figure:
    figure = Figure(figsize=SIZE_IN, layout="constrained")
    axes = figure.subplots()
    errors = _errors(rows)
    compressions = sorted({compression for compression, _ in errors})
    for compression, marker in zip(compressions, MARKERS * len(compressions), strict=False):
        _curve(axes, compression, marker, errors, rows[0].get("images", (0, 0, 0))[2])
    bits = sorted({bits for _, bits in errors})
    axes.set_xscale("log", base=2)
    axes.set_xticks(bits, [str(b) for b in bits])
    axes.minorticks_off()
    axes.set_xlabel("bits of a weight")
    axes.set_ylabel("test error, %")
    axes.grid(alpha=0.3)
    if errors:
        axes.legend(title="budget", **LEGEND)
    counts = [len(values) for values in errors.values()]
    axes.set_title(f"{_conditions(rows, counts)}\n{BARS}", fontsize="small", loc="left")
    return figure


def _curve(
    axes: Axes, compression: int, marker: str, errors: dict[tuple[int, int], list[float]], images: int
) -> None:
    """Means over seeds, the lowest of the budget ringed; each seed beside its mean."""
    curve = sorted((bits, values) for (c, bits), values in errors.items() if c == compression)
    means = [100 * Spread.of(values).mean for _, values in curve]
    (line,) = axes.plot([b for b, _ in curve], means, marker=marker, label=f"M0/{compression}")
    lowest = min(range(len(curve)), key=means.__getitem__)
    colour = line.get_color()
    axes.scatter([curve[lowest][0]], [means[lowest]], s=130, facecolors="none", edgecolors=colour)
    draw_bars(axes, [b for b, _ in curve], [v for _, v in curve], [images] * len(curve), colour)
    for bits, values in curve:
        if len(values) > 1:
            axes.scatter([bits] * len(values), [100 * v for v in values], s=6, color=colour)


def _conditions(rows: Rows, counts: Sequence[int]) -> str:
    row, fewest = rows[0], min(counts, default=0)
    runs = f"n = {fewest}" + (f" to {max(counts)}" if max(counts, default=0) > fewest else "")
    return (
        f"{row['model']} on {row['data']} at {shape(row['in_shape'])}, {row['epochs']} epochs, {runs}; "
        "widest network in each budget,\nring: the lowest of its budget"
    )
