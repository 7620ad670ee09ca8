"""Recipes of block-local training, each beside its base: tables for each preset that is recorded."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from blockwise.quant.precision import FLOAT32
from blockwise.report.recipe import HEADINGS, cells, recipe_notes
from blockwise.report.text import ABSENT, interval
from blockwise.statistics.shares import wilson
from blockwise.studies.commands import choices
from blockwise.studies.jobs import revision_of
from blockwise.studies.recipe import ALIKE, PROTOCOLS, STUDY, Recipe, RecipeSpace, recipe_of
from blockwise.studies.recipe_rows import RecipeRow, recipe_rows
from sections.markdown import picture, table
from sections.methods import conditions
from sections.recorded import is_drawn, runs_of

Runs = list[dict[str, Any]]

SHOWN = ("recipe", "test error", "95 %", "n", "to the base", "p", "KiB", "share", "batch 1", "share of 1",
         "paged", "work : bp", "flags")  # fmt: skip
"""The columns of the study's own table, but for minutes, with an interval and the flags of each row."""
INTRO = (
    "`run.py study recipe` changes one ingredient of a base at a time. Behind an error stands Wilson's 95 % "
    "interval for as many test images, seeds aside; KiB are peaks on the board at the batch of the training "
    "and at 1, each with its share of that of plain backpropagation. With the flags of a row "
    "`run.py study recipe` trains it alone."
)


def recipes() -> str:
    """results/studies/recipe_*.jsonl; nothing where none is recorded."""
    found = [told for name in PROTOCOLS for told in _section(name)]
    return "\n\n".join(["## Recipes of local learning", INTRO, *found]) if found else ""


def _section(name: str) -> Iterator[str]:
    """The preset's own network and arithmetic first, of which there is a figure; then what was changed."""
    usual = PROTOCOLS[name].width, FLOAT32
    tables = sorted(_alike(runs_of(f"{STUDY}_{name}")), key=lambda runs: _changed(runs[0]) != usual)
    for place, runs in enumerate(tables):
        yield from _table(name, runs)
        if not place and is_drawn(f"{STUDY}_{name}"):
            yield picture(f"{STUDY}_{name}", "error against the share of plain backpropagation's peak")


def _changed(run: dict[str, Any]) -> tuple[int, str]:
    """What a flag of the study's may have changed for all of its trainings."""
    return run["width"], run["precision"]


def _table(name: str, runs: Runs) -> Iterator[str]:
    base, first, preset = _base(runs), runs[0], PROTOCOLS[name]
    width, precision = _changed(first)
    protocol = replace(preset, width=width, seeds=(first["seed"],))
    rows = recipe_rows(runs, _space(first, base), protocol)
    yield conditions(
        runs,
        *([] if width == preset.width else ["--width", str(width)]),
        *([] if precision == FLOAT32 else ["--precision", precision]),
    )
    tested = any(row.beside and row.beside.p is not None for row in rows)
    shown = [heading for heading in SHOWN if tested or heading != "p"]
    yield table(shown, [[_cells(row)[heading] for heading in shown] for row in rows])
    yield " ".join(recipe_notes(rows, base))


def _base(runs: Runs) -> Recipe:
    """The recipe from which the others differ least, in whatever order they are recorded."""
    found = [*dict.fromkeys(map(recipe_of, runs))]
    return min(found, key=lambda base: sum(len(recipe.changes(base)) for recipe in found))


def _alike(runs: Runs) -> list[Runs]:
    """Those of this revision, by the conditions that all recipes of a table share."""
    found: dict[tuple[Any, ...], Runs] = {}
    for run in runs:
        if run["revision"] == revision_of(run["regime"]):
            found.setdefault(tuple(run[name] for name in (*ALIKE, "data", "augment")), []).append(run)
    return [*found.values()]


def _space(run: dict[str, Any], base: Recipe) -> RecipeSpace:
    """The base alone: by it rows are told apart, and plain backpropagation is planned."""
    values = {field.name: (getattr(base, field.name),) for field in fields(base)}
    return RecipeSpace(values, model=run["model"], method="lsq" if run["method"] == "fp32" else run["method"])


def _cells(row: RecipeRow) -> dict[str, str]:
    """By heading."""
    headings = [*HEADINGS]
    headings[len(headings) - headings[::-1].index("share") - 1] = "share of 1"
    own = dict(zip(headings, cells(row), strict=True))
    return own | {"95 %": _interval(row), "flags": _flags(row)}


def _interval(row: RecipeRow) -> str:
    """Of the mean error."""
    spread = row.over_seeds.spread
    return ABSENT if spread is None else _range(*wilson(spread.mean, row.over_seeds.images))


def _range(low: float, high: float) -> str:
    return interval(low, high).removesuffix(" %")


def _flags(row: RecipeRow) -> str:
    """Of all its seeds."""
    words = choices(row.lines[0])[:-1]
    return f"`{' '.join((*words, *(str(line['seed']) for line in row.lines)))}`"
