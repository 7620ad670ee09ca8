"""The study of recipes on the terminal and as a figure: error against the share of plain bp's peak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.text import Text

from blockwise.report.error_bars import BARS, beside, conditions, draw_bars, told
from blockwise.report.figures import save_figure
from blockwise.report.labels import Named, label
from blockwise.report.side_by_side import Ruled, ruled_table
from blockwise.report.spreads import TESTS, error_words, points_words, standing_words, tests_words
from blockwise.report.text import ABSENT, times
from blockwise.statistics.standing import standing
from blockwise.studies.recipe import Recipe
from blockwise.studies.recipe_rows import SHARE, Peaks, RecipeRow
from devices.program.accountings import FLOAT_BITS
from devices.program.regimes import PLAIN, find

SIZE_IN = (10.5, 5.2)
BASE = "the base"

WIDE = ("p", "minutes")
"""Not on the terminal, which has no room for them: the page has."""
HEADINGS = (
    "recipe", "test error", "n", "to the base", "p", "KiB", "share", "batch 1", "share", "paged",
    f"work : {PLAIN}", "minutes",
)  # fmt: skip
SHARES = (
    f"Shares are those of the peak of plain {PLAIN} of the same network, bits and batch; paged are the two "
    "of local-paged, which keeps all blocks but one in flash and ends with the same weights. What a recipe "
    "starts from is trained on the board as well, so that its peak counts."
)


def recipe_words(changes: Mapping[str, Any]) -> str:
    """What is other than in the base: blocks 6, head lookahead:32."""
    return ", ".join(_change(name, value) for name, value in changes.items()) or BASE


def _change(name: str, value: Any) -> str:
    if name == "bits":
        return "float32" if value == FLOAT_BITS else f"W{value}A{value}"
    if name == "bit_chain":
        return f"bits {'-'.join(map(str, value))}" if value else "no chain of bits"
    if name == "last_epochs":
        return f"last block {value} times as long" if value > 1 else "last block as long"
    if name == "init":
        return f"from {value}" if value else "weights drawn"
    if name == "distill":
        return f"taught at {value}" if value else "not taught"
    if name == "skip_heads":
        return f"{value:.0%} of steps skipped" if value else "no step skipped"
    return str(value) if name in ("regime", "head") else f"{name.replace('_', ' ')} {value}"


def recipe_told(recipe: Recipe) -> str:
    """All ingredients of a recipe, but those that it goes without."""
    place = [f"{recipe.blocks} blocks", recipe.head] if find(recipe.regime).heads else []
    return ", ".join([recipe.regime, *place, _change("bits", recipe.bits), *additions(recipe)])


def additions(recipe: Recipe) -> list[str]:
    """What a recipe has that most go without."""
    usual = Recipe()
    return [
        _change(name, getattr(recipe, name))
        for name in ("bit_chain", "last_epochs", "init", "distill", "skip_heads")
        if getattr(recipe, name) != getattr(usual, name)
    ]


def recipe_table(rows: Sequence[RecipeRow]) -> Ruled:
    """A row for each recipe, the lowest test error first."""
    table = ruled_table()
    shown = [i for i, heading in enumerate(HEADINGS) if heading not in WIDE]
    for heading in (HEADINGS[i] for i in shown):
        is_name = heading == "recipe"
        table.add_column(
            Text(heading, style="bold"), justify="left" if is_name else "right", no_wrap=not is_name
        )
    for row in rows:
        own = cells(row)
        table.add_row(*(own[i] for i in shown))
    return Ruled(table)


def cells(row: RecipeRow) -> tuple[str, ...]:
    """In the order of the headings."""
    peaks = row.whole(row.peaks)
    own = peaks.beside(row.plain.peaks)
    return (
        recipe_words(row.changes),
        error_words(row.over_seeds),
        str(row.over_seeds.runs),
        points_words(row.beside),
        tests_words(row.beside),
        f"{peaks.batch:,.0f}",
        f"{own.batch:.2f}",
        f"{peaks.one:,.0f}",
        f"{own.one:.2f}",
        ABSENT if row.paged is None else _pair(row.whole(row.paged).beside(row.plain.peaks)),
        times(row.work, 1),
        f"{row.seconds / 60:.1f}",
    )


def _pair(share: Peaks) -> str:
    return f"{share.batch:.2f}, {share.one:.2f}"


def recipe_notes(rows: Sequence[RecipeRow], base: Recipe) -> list[str]:
    """The base, who leads, and who leads of those within the share of plain bp's peak, by batch."""
    ended = [row for row in rows if row.over_seeds.values]
    within = [
        (f"batch {size}", [row for row in ended if getattr(row.share, name) <= SHARE])
        for name, size in (("batch", "of the training"), ("one", "1"))
    ]
    tested = any(row.beside and row.beside.p is not None for row in rows)
    notes = [f"The base: {recipe_told(base)}.", _standing(rows), SHARES, TESTS if tested else ""]
    for what, own in within:
        told = _standing(own) or (f"{recipe_words(own[0].changes)} alone." if own else "none.")
        notes.append(f"Within a third of {PLAIN}'s peak at {what}: {told}")
    return [note for note in notes if note]


def _standing(rows: Sequence[RecipeRow]) -> str:
    contestants = [row.over_seeds.contestant(recipe_words(row.changes)) for row in rows]
    return standing_words(standing(contestants))


def draw_recipes(lines: Sequence[dict[str, Any]], rows: Sequence[RecipeRow], stem: Path) -> tuple[Path, Path]:
    """Draw means over seeds to ``stem``.svg and ``stem``.png; returns the two paths."""
    return save_figure(lambda: _figure(lines, rows), stem)


def _figure(lines: Sequence[dict[str, Any]], rows: Sequence[RecipeRow]) -> Figure:
    figure = Figure(figsize=SIZE_IN, layout="constrained")
    shown = [row for row in rows if row.over_seeds.values]
    sizes = {"batch": f"batch {lines[0]['batch_size']}", "one": "batch 1"}
    for axes, (name, words) in zip(figure.subplots(1, 2, sharey=True), sizes.items(), strict=True):
        _panel(axes, shown, name)
        axes.set_xlabel(f"peak, as a share of plain {PLAIN}'s, {words}")
    figure.axes[0].set_ylabel("test error, %")
    counts = [len(row.over_seeds.values) for row in shown]
    figure.suptitle(f"{conditions(lines)}, {told(counts)}\n{BARS}", fontsize="small", ha="left", x=0.01)
    return figure


def _panel(axes: Axes, rows: Sequence[RecipeRow], name: str) -> None:
    """Errors over shares of one batch size; what pages blocks at their share when it does."""
    shares, errors = [getattr(row.share, name) for row in rows], [100 * row.error for row in rows]
    drawn = axes.scatter(shares, errors, s=22)
    values, images = [row.over_seeds.values for row in rows], [row.over_seeds.images for row in rows]
    draw_bars(axes, shares, values, images, drawn.get_facecolor())
    axes.axvline(SHARE, linestyle="--", color="0.4", linewidth=0.8)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(alpha=0.3)
    counts = [len(row.over_seeds.values) for row in rows]
    names = [
        beside(recipe_words(row.changes), count, counts) for row, count in zip(rows, counts, strict=True)
    ]
    label(axes, [Named(*point) for point in zip(shares, errors, names, strict=True)])
