"""Training on integers beside float32 and QAT: a table, and a figure of error against memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from rich.text import Text

from blockwise.report.error_bars import BARS, beside, draw_bars, told
from blockwise.report.figures import LEGEND, save_figure
from blockwise.report.labels import Named, label_both
from blockwise.report.side_by_side import Ruled, ruled_table
from blockwise.report.spreads import error_words, mean_words, standing_words
from blockwise.report.text import ABSENT
from blockwise.statistics.standing import standing
from devices.boards import profile
from devices.boards.profile import KIB
from devices.program.regimes import find

if TYPE_CHECKING:
    from blockwise.studies.summary import Summary

SIZE_IN = (7.0, 4.6)

HEADINGS = (
    "numbers", "bits", "bits stored", "n", "error: global", "local", "peak KiB: global", "local",
    "batch 1: global", "local",
)  # fmt: skip


def integer_table(summaries: Iterable[Summary]) -> Ruled:
    """A row per kind of numbers, trained globally and block by block; memory at the whole batch and at 1."""
    table = ruled_table()
    for heading in HEADINGS:
        narrow = Text("\n".join(heading.rsplit(" ", 1)), style="bold")
        table.add_column(narrow, justify="left" if heading == "numbers" else "right", no_wrap=True)
    for row in integer_rows(summaries):
        table.add_row(*row)
    return Ruled(table)


def integer_rows(summaries: Iterable[Summary]) -> list[tuple[str, ...]]:
    """The cells of every row, in the order of the headings; the most accurate numbers first."""
    pairs: dict[str, dict[bool, Summary]] = {}
    for summary in summaries:
        pairs.setdefault(numbers_of(summary), {})[summary.head is not None] = summary
    return [_cells(name, pair) for name, pair in pairs.items()]


def numbers_of(summary: Summary) -> str:
    """What sets a row apart: its numbers, how often they jump, and how, if not by errors that go back.

    Whether a block is trained at a time is told as well.
    """
    found = find(summary.regime)
    every = [f"a jump in {summary.jump_every}"] if summary.jump_every > 1 else []
    in_turn = ["a block at a time"] if found.one_by_one else []
    numbers = summary.regime if found.perturbs else summary.method
    return ", ".join((numbers, *every, *in_turn))


def _cells(name: str, pair: dict[bool, Summary]) -> tuple[str, ...]:
    first = next(iter(pair.values()))
    both = [pair.get(local) for local in (False, True)]
    counts = dict.fromkeys(str(s.over_seeds.runs) for s in both if s)
    return (
        name,
        f"W{first.weight_bits}A{first.activation_bits}",
        f"{first.stored_bits:.2f}",
        " / ".join(counts),
        *(error_words(s.over_seeds) if s else ABSENT for s in both),
        *(f"{s.peak_kib:,.0f}" if s else ABSENT for s in both),
        *(f"{s.peak_kib_of_one:,.0f}" if s else ABSENT for s in both),
    )


def integer_standing(summaries: Iterable[Summary]) -> str:
    """Which numbers and regime have the lowest error, and which tie with them."""
    return standing_words(standing([s.over_seeds.contestant(contestant_of(s)) for s in summaries]))


def contestant_of(summary: Summary) -> str:
    """The numbers and the regime; of regimes on integers the latter says both."""
    every = f", a jump in {summary.jump_every}" if summary.jump_every > 1 else ""
    names = [summary.regime] if find(summary.regime).is_integer else [summary.method, summary.regime]
    return " ".join(names) + every


def one_by_one_words(summaries: Iterable[Summary]) -> str:
    """The errors of images that are batches of their own; empty where records have none."""
    told = [f"{contestant_of(s)} {mean_words(s.one_by_one)}" for s in summaries if s.one_by_one]
    return f"Test error image by image, as a board predicts: {'; '.join(told)}." if told else ""


def draw_integers(
    rows: Sequence[dict[str, Any]], summaries: Sequence[Summary], stem: Path
) -> tuple[Path, Path]:
    """Draw means over seeds to ``stem``.svg and ``stem``.png; returns the two paths."""
    return save_figure(lambda: _figure(rows, summaries), stem)


def _figure(rows: Sequence[dict[str, Any]], summaries: Sequence[Summary]) -> Figure:
    figure = Figure(figsize=SIZE_IN, layout="constrained")
    axes = figure.subplots()
    named: dict[bool, list[Named]] = {}
    counts = [len(summary.errors) for summary in summaries if summary.errors]
    for name, marker, local in (("global", "o", False), ("block by block", "^", True)):
        own = [s for s in summaries if (s.head is not None) == local and s.errors]
        peaks, errors = [s.peak_kib_of_one for s in own], [100 * s.error for s in own]
        drawn = axes.scatter(peaks, errors, marker=marker, s=26, label=name)
        draw_bars(
            axes, peaks, [s.errors for s in own], [s.over_seeds.images for s in own], drawn.get_facecolor()
        )
        names = [beside(numbers_of(s), len(s.errors), counts) for s in own]
        named[local] = [Named(*p) for p in zip(peaks, errors, names, strict=True)]
    board = profile.load(rows[0]["board"])
    axes.axvline(board.usable_bytes / KIB, linestyle="--", color="0.4", label=f"usable RAM, {board.title}")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("peak memory of a training step on one image, KiB")
    axes.set_ylabel("test error, %")
    axes.grid(alpha=0.3)
    axes.legend(**LEGEND)
    axes.set_title(f"{_conditions(rows)}, {told(counts)}\n{BARS}", fontsize="small", loc="left")
    label_both(axes, named[False], named[True])
    return figure


def _conditions(rows: Sequence[dict[str, Any]]) -> str:
    row = rows[0]
    what = f"{row['model']} at width {row['width']} on {row['data']} at {'x'.join(map(str, row['in_shape']))}"
    return f"{what}, batch {row['batch_size']}, {row['epochs']} epochs"
