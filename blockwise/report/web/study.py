"""A study as one page: its conditions, figure, tables and curves, and the command of each run."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from blockwise.quant.precision import FLOAT32
from blockwise.report import integers, qat, recipe
from blockwise.report.spreads import MEANS
from blockwise.report.text import ABSENT, DIVERGED, shape
from blockwise.report.uncertainty import known_to
from blockwise.report.web import palette
from blockwise.report.web.assets import LIBRARY, asset, environment
from blockwise.report.web.drawings import inline
from blockwise.report.web.grids import Grid
from blockwise.report.web.payload import packed
from blockwise.studies.commands import command
from blockwise.studies.recipe import STUDY, Recipe, recipe_of
from blockwise.studies.recipe_rows import RecipeRow
from blockwise.studies.summary import Summary
from blockwise.system.files import atomic_write
from devices.program.regimes import PLAIN, find

Rows = Sequence[dict[str, Any]]
SCRIPTS = ("base.js", "curves.js", "tables.js", "study.js")
LABEL = "The tables below hold the figures."

HEAD = (
    "run", "regime", "head, cut", "bits", "seed", "test error", "validation", "best epoch", "peak KiB",
    "minutes", "command",
)  # fmt: skip
CONDITIONS = (
    "model",
    "width",
    "norm",
    "data",
    "in_shape",
    "images",
    "epochs",
    "batch_size",
    "optimizer",
    "board",
)
"""Of a run: what all of them have in common is told once."""


def study_page(title: str, rows: Rows, svg: str, *means: Grid) -> str:
    """One file that loads nothing. ``means`` are those over seeds, ``svg`` is the study's figure."""
    return environment().get_template("study.html").render(
        title=f"Blockwise: {title}", heading=title, conditions=conditions(rows), known=known_to(rows),
        figure=inline(svg, LABEL), means=means, runs=runs(rows), losses=losses(rows),
        colours=Markup(palette.css()), style=asset("style.css"), library=asset(LIBRARY),
        script=Markup("\n".join(map(asset, SCRIPTS))), data=packed({"curves": curves(rows)}),
    )  # fmt: skip


def write_study(title: str, rows: Rows, stem: Path, *means: Grid) -> Path:
    """Write the page beside the figure ``stem``.svg as ``stem``.html; returns it. Raises WriteError."""
    path, svg = (stem.with_name(f"{stem.name}.{kind}") for kind in ("html", "svg"))
    atomic_write(path, study_page(title, rows, svg.read_text("utf-8"), *means))
    return path


def qat_means(summaries: Sequence[Summary]) -> Grid:
    """Means over seeds, as the console has them."""
    figures = qat.HEADINGS.index("test error")
    notes = (qat.qat_standing(summaries), *qat.distance_notes(summaries))
    return _means(qat.HEADINGS, map(qat.cells, summaries), figures, *notes)


def integer_means(summaries: Sequence[Summary]) -> Grid:
    """The same of the study of integers."""
    head, rows = integers.HEADINGS, integers.integer_rows(summaries)
    notes = (integers.integer_standing(summaries), integers.one_by_one_words(summaries))
    return _means(head, rows, head.index("bits stored"), *notes)


def recipe_means(rows: Sequence[RecipeRow], base: Recipe) -> Grid:
    """The same of recipes."""
    head = recipe.HEADINGS
    return _means(head, map(recipe.cells, rows), head.index("test error"), *recipe.recipe_notes(rows, base))


def _means(head: tuple[str, ...], rows: Iterable[tuple[str, ...]], figures: int, *notes: str) -> Grid:
    told = tuple(filter(None, (MEANS, *notes)))
    return Grid("Means over seeds", head, tuple(rows), figures, sortable=True, notes=told)


def conditions(rows: Rows) -> list[tuple[str, str]]:
    """What all runs have in common, and how many there are."""
    found = [("runs", f"{len(rows)}, {sum(row['test_error'] is None for row in rows)} of them {DIVERGED}")]
    for name in CONDITIONS:
        words = _images if name == "images" else _words
        values = {words(row[name]) for row in rows if row.get(name) is not None}
        if len(values) == 1:
            found.append((name.replace("_", " "), values.pop()))
    return found


def _images(counts: list[int]) -> str:
    return ", ".join(
        f"{n:,} {split}" for n, split in zip(counts, ("training", "validation", "test"), strict=True)
    )


def _words(value: Any) -> str:
    return shape(tuple(value)) if isinstance(value, list) else str(value)


def runs(rows: Rows) -> Grid:
    """A line for each run, the lowest test error first."""
    ordered = sorted(rows, key=lambda row: (row["test_error"] is None, row["test_error"] or 0))
    head = HEAD.index("seed")
    return Grid("Runs", HEAD, tuple(map(_run, ordered)), head, sortable=True, commands=True)


def _run(row: dict[str, Any]) -> tuple[str, ...]:
    peak, error = row.get("peak_kib"), row["test_error"]
    return (
        _name(row), row.get("regime", "bp"), f"{row['head']}, {row['blocks']}" if row.get("head") else ABSENT,
        f"W{row.get('weight_bits', row.get('bits'))}A{row['activation_bits']}", str(row["seed"]),
        DIVERGED if error is None else f"{100 * error:.2f} %",
        ABSENT if row.get("validation_error") is None else f"{100 * row['validation_error']:.2f} %",
        str(row["best_epoch"] or ABSENT), ABSENT if peak is None else f"{peak:,.1f}",
        f"{row['seconds'] / 60:.1f}", shlex.join(("python", "run.py", *command(row))),
    )  # fmt: skip


def _name(row: dict[str, Any]) -> str:
    if "compression" in row:
        return f"M0/{row['compression']}, width {row['width']}"
    names = " / ".join(dict.fromkeys((row["method"], row["activation_method"])))
    chain = [f"bits {'-'.join(map(str, row['bit_chain']))}"] if row.get("bit_chain") else []
    chain += [f"a jump in {row['jump_every']}"] if row.get("jump_every", 1) > 1 else []
    more = recipe.additions(recipe_of(row)) if row["study"] == STUDY else chain
    return ", ".join([names if row["precision"] == FLOAT32 else f"{names} ({row['precision']})", *more])


def _title(row: dict[str, Any]) -> tuple[str, str]:
    place = [row[name] for name in ("regime", "head", "blocks") if row.get(name)]
    bits = f"W{row.get('weight_bits', row.get('bits'))}A{row['activation_bits']}"
    return _name(row), ", ".join([bits, *place, f"seed {row['seed']}"])


def losses(rows: Rows) -> Grid | None:
    """Training losses by epoch, for who has no scripts; None where older lines have none."""
    told = [row for row in rows if row.get("losses")]
    if not told:
        return None
    cells = tuple(
        (", ".join((*_title(row), *block)), *(f"{loss:.3f}" for loss in found))
        for row in told
        for block, found in _by_block(row)
    )
    epochs = max(len(row) for row in cells) - 1
    filled = tuple((*row, *[ABSENT] * (epochs + 1 - len(row))) for row in cells)
    return Grid("Training losses by epoch", ("run", *map(str, range(1, epochs + 1))), filled, 1)


def curves(rows: Rows) -> list[dict[str, Any]]:
    """The same for the chart."""
    return [
        {
            "regime": name,
            "block": ", ".join((rest, *block)),
            "epochs": list(range(1, len(found) + 1)),
            "loss": found,
        }
        for row in rows
        if row.get("losses")
        for name, rest in [_title(row)]
        for block, found in _by_block(row)
    ]


def _by_block(row: dict[str, Any]) -> list[tuple[list[str], list[float]]]:
    """Losses under the block that was trained then; under none where all learn at once."""
    told, each = row["losses"], row["epochs"]
    if not find(row.get("regime", PLAIN)).one_by_one:
        return [([], told)]
    # Only the last block may be trained for longer, and is not there in a run that diverged before it.
    before = len(told) - (row.get("last_epochs") or each)
    ends = before + 1 if before >= 0 and before % each == 0 else len(told)
    starts = [*range(0, ends, each)]
    return [
        ([f"block {number}"], told[start:end])
        for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(told)], strict=True), start=1)
    ]
