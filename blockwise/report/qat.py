"""The study of quantization methods on the terminal and as a figure: error against stored bits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.text import Text

from blockwise.quant.precision import FLOAT32
from blockwise.report.error_bars import BARS, beside, conditions, draw_bars, told
from blockwise.report.figures import LEGEND, save_figure
from blockwise.report.labels import Named, label_both
from blockwise.report.side_by_side import Ruled, ruled_table
from blockwise.report.spreads import error_words, interval_words, standing_words
from blockwise.report.text import ABSENT, DIVERGED
from blockwise.statistics.standing import standing
from blockwise.studies.distances import LIMIT, Change, Distance
from blockwise.studies.summary import Summary, summaries
from devices.program.accountings import FLOAT_BITS
from devices.program.regimes import find

SIZE_IN = (8.0, 6.6)
MARKERS = "osD^vP*X"

INTERVAL, DISTANCE = "mean, 95 %", "to fp32 (reference's)"
WIDE = (INTERVAL, DISTANCE)
"""Not on the terminal, which has no room for them: the page and documents have."""
HEADINGS = (
    "method", "bits", "skip", "regime", "head, cut", "test error", INTERVAL, "n", "reference", DISTANCE,
    "bits stored", "peak KiB", "batch 1", "host MiB", "time",
)  # fmt: skip


def qat_table(summaries: Sequence[Summary]) -> Ruled:
    """A row per method, regime, head and cut, the lowest test error first; no column is empty."""
    rows, table = [cells(summary) for summary in summaries], ruled_table()
    told = {i for row in rows for i, cell in enumerate(row) if cell != ABSENT}
    shown = [i for i, heading in enumerate(HEADINGS) if heading not in WIDE and (i in told or not rows)]
    for heading in (HEADINGS[i] for i in shown):
        left = heading in ("method", "skip", "regime", "head, cut")
        narrowest = len(DIVERGED) if heading == "test error" else None
        table.add_column(
            Text(heading, style="bold"), justify="left" if left else "right", min_width=narrowest
        )
    for row in rows:
        table.add_row(*(row[i] for i in shown))
    return Ruled(table)


def cells(summary: Summary) -> tuple[str, ...]:
    """The row's cells, in the order of the headings."""
    return (
        _methods(summary),
        f"W{summary.weight_bits}A{summary.activation_bits}",
        ABSENT if summary.activation_bits == FLOAT_BITS else summary.residual,
        summary.regime,
        f"{summary.head}, {summary.blocks}" if summary.head else ABSENT,
        error_words(summary.over_seeds),
        ABSENT if (spread := summary.over_seeds.spread) is None else interval_words(spread),
        str(summary.over_seeds.runs),
        ABSENT if summary.reference is None else f"{100 * summary.reference:g}%",
        ABSENT if summary.distance is None else distance_words(summary.distance),
        f"{summary.stored_bits:.2f}",
        f"{summary.peak_kib:,.0f}",
        f"{summary.peak_kib_of_one:,.0f}",
        ABSENT if summary.host_mib is None else f"{summary.host_mib:,.0f}",
        ABSENT if summary.time_ratio is None else f"{summary.time_ratio:.2f}x",
    )


def qat_standing(summaries: Sequence[Summary]) -> str:
    """Which row has the lowest error, and which tie with it."""
    return standing_words(standing([summary.over_seeds.contestant(_named(summary)) for summary in summaries]))


def distance_words(found: Distance) -> str:
    """Points above float32, here and in the reference study: +1.8 (+18.5), with ! where they differ."""
    return f"{100 * found.ours:+.1f} ({100 * found.theirs:+.1f}){' !' if found.flagged else ''}"


def distance_notes(summaries: Sequence[Summary]) -> list[str]:
    """What explains each distance to float32 that is not the reference study's, or that nothing does."""
    return [
        f"! {_named(s)}: {distance_words(s.distance).removesuffix(' !')} points above fp32, more than "
        f"{100 * LIMIT:g} off the reference's; {_explained(s.distance)}."
        for s in summaries
        if s.distance and s.distance.flagged
    ]


def _explained(found: Distance) -> str:
    experiment = found.experiment
    if experiment is None:
        return (
            "unexplained: no recorded experiment that changes one condition, or one after the other, comes "
            "within them, or passes it"
        )
    beyond = ", on the other side of the reference's" if experiment.beyond else ""
    return f"with {', and besides with '.join(map(_changed, experiment.changes))}{beyond}"


def _changed(change: Change) -> str:
    what = f"{change.condition.replace('_', ' ')} {change.value}"
    return f"{what} it is {100 * change.to_float:+.1f} (n = {change.runs})"


def _named(summary: Summary) -> str:
    """A row told from all others."""
    place = (
        [] if find(summary.regime).plain else [summary.regime, *filter(None, [summary.head, summary.blocks])]
    )
    return " ".join(
        [_methods(summary), f"W{summary.weight_bits}A{summary.activation_bits}", *_skips(summary), *place]
    )


def draw_qat(rows: Sequence[dict[str, Any]], stem: Path) -> tuple[Path, Path]:
    """Draw the recorded runs to ``stem``.svg and ``stem``.png; returns the two paths."""
    return save_figure(lambda: _figure(rows), stem)


def _figure(rows: Sequence[dict[str, Any]]) -> Figure:
    figure = Figure(figsize=SIZE_IN, layout="constrained")
    axes = figure.subplots()
    named: dict[bool, list[Named]] = {True: [], False: []}
    shown = [summary for summary in summaries(rows) if summary.errors]
    counts, name_of = [len(summary.errors) for summary in shown], _names(shown)
    for regime, marker in zip(dict.fromkeys(s.regime for s in shown), MARKERS * len(shown), strict=False):
        own = [summary for summary in shown if summary.regime == regime]
        stored, errors = [s.stored_bits for s in own], [100 * s.error for s in own]
        drawn = axes.scatter(stored, errors, marker=marker, s=22, label=regime)
        draw_bars(
            axes, stored, [s.errors for s in own], [s.over_seeds.images for s in own], drawn.get_facecolor()
        )
        names = [beside(name_of(s), len(s.errors), counts) for s in own]
        named[find(regime).plain] += [Named(*p) for p in zip(stored, errors, names, strict=True)]
    axes.set_xscale("log", base=2)
    ticks = [1, 2, 3, 4, 8, 16, 32]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("bits stored per weight, scales and codebooks included")
    axes.set_ylabel("test error, %")
    axes.grid(alpha=0.3)
    axes.legend(title="regime", **LEGEND)
    axes.set_title(f"{conditions(rows)}, {told(counts)}\n{BARS}", fontsize="small", loc="left")
    label_both(axes, named[True], named[False])
    return figure


def _names(shown: Iterable[Summary]) -> Callable[[Summary], str]:
    """Names in the figure, with the cut where that tells one of a regime from another."""
    alike = Counter((summary.regime, _name(summary)) for summary in shown)

    def name(summary: Summary) -> str:
        told = _name(summary)
        twin = summary.blocks and alike[summary.regime, told] > 1
        return f"{told}, cut {summary.blocks}" if twin else told

    return name


def _name(summary: Summary) -> str:
    head = [summary.head] if summary.head else []
    return ", ".join([_methods(summary), *head, *_skips(summary)])


def _methods(summary: Summary) -> str:
    """And in what they were trained, where that is not float32."""
    names = " / ".join(dict.fromkeys((summary.method, summary.activation_method)))
    return names if summary.precision == FLOAT32 else f"{names} ({summary.precision})"


def _skips(summary: Summary) -> list[str]:
    return ["float skip"] if summary.residual == "float" else []
