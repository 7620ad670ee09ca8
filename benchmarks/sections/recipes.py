"""Recipes of block-local training, each beside its base: tables for each preset that is recorded."""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from blockwise.report.recipe import HEADINGS, cells, draw_recipes, recipe_notes
from blockwise.report.text import ABSENT, interval
from blockwise.statistics.shares import wilson
from blockwise.studies.commands import choices
from blockwise.studies.jobs import revision_of
from blockwise.studies.recipe import ALIKE, PROTOCOLS, STUDY, Recipe, RecipeSpace, recipe_of
from blockwise.studies.recipe_rows import RecipeRow, recipe_rows
from sections.markdown import picture, table
from sections.methods import conditions
from sections.recorded import groups, is_drawn, runs_of

Runs = list[dict[str, Any]]
FP32 = "fp32"

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
    for place, runs in enumerate(_tables(name)):
        yield from _table(name, runs)
        if not place and is_drawn(f"{STUDY}_{name}"):
            yield picture(f"{STUDY}_{name}", "error against the share of plain backpropagation's peak")


def _tables(name: str) -> list[Runs]:
    """The recorded runs of a preset, those first that are as it says."""
    return sorted(_alike(runs_of(f"{STUDY}_{name}")), key=lambda runs: len(_changes(runs)))


def draw(name: str, stem: Path) -> None:
    """The figure of a preset, of the rows of its first table; nothing of a single recipe."""
    for runs in _tables(name)[:1]:
        _, rows = _rows(name, runs)
        if rows[1:]:
            draw_recipes(runs, rows, stem)


def _rows(name: str, runs: Runs) -> tuple[Recipe, tuple[RecipeRow, ...]]:
    """The base, and the rows of the table."""
    base, first = _base(runs), runs[0]
    protocol = replace(PROTOCOLS[name], width=first["width"], seeds=(first["seed"],))
    return base, recipe_rows(runs, _space(runs, base), protocol)


def _changes(runs: Runs) -> list[str]:
    """The flags of what is otherwise than in the preset, for all of a table."""
    first, preset, usual = runs[0], PROTOCOLS[runs[0]["protocol"]], RecipeSpace({})
    pairs = {
        "--model": (first["model"], usual.model), "--width": (first["width"], preset.width),
        "--method": (_method(runs), usual.method), "--precision": (first["precision"], usual.precision),
        "--epochs": (first["epochs"], preset.epochs),
    }  # fmt: skip
    return [word for flag, (own, other) in pairs.items() if own != other for word in (flag, str(own))]


def _method(runs: Runs) -> str:
    """Of those that are not float32."""
    return next((run["method"] for run in runs if run["method"] != FP32), RecipeSpace({}).method)


def _table(name: str, runs: Runs) -> Iterator[str]:
    base, rows = _rows(name, runs)
    yield conditions(runs, *_changes(runs))
    tested = any(row.beside and row.beside.p is not None for row in rows)
    shown = [heading for heading in SHOWN if tested or heading != "p"]
    yield table(shown, [[_cells(row)[heading] for heading in shown] for row in rows])
    yield " ".join(recipe_notes(rows, base))


def _base(runs: Runs) -> Recipe:
    """The recipe from which the others differ least, in whatever order they are recorded."""
    found = [*dict.fromkeys(map(recipe_of, runs))]
    return min(found, key=lambda base: sum(len(recipe.changes(base)) for recipe in found))


def _alike(runs: Runs) -> list[Runs]:
    """Those of this revision, by the conditions that all recipes of a table share, and by method.

    Float32 stands beside each method.
    """
    latest = (run for run in runs if run["revision"] == revision_of(run["regime"]))
    return [own for together in groups(latest, *ALIKE) for own in _by_method(together)]


def _by_method(runs: Runs) -> list[Runs]:
    methods = [*dict.fromkeys(run["method"] for run in runs if run["method"] != FP32)]
    return [[run for run in runs if run["method"] in (method, FP32)] for method in methods or [FP32]]


def _space(runs: Runs, base: Recipe) -> RecipeSpace:
    """The base alone: by it rows are told apart, and plain backpropagation is planned."""
    values = {field.name: (getattr(base, field.name),) for field in fields(base)}
    return RecipeSpace(values, model=runs[0]["model"], method=_method(runs))


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
