"""The recorded recipes beside their base and beside plain backpropagation."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import mean
from typing import Any

from blockwise.experiment.prepare import prepare
from blockwise.experiment.settings import ImageSettings, OutputSettings
from blockwise.statistics.paired import Paired, compared
from blockwise.studies.errors import Errors, errors_of
from blockwise.studies.qat import QatProtocol
from blockwise.studies.recipe import Recipe, RecipeSpace, config_of, recipe_of
from blockwise.studies.summary import NEEDED as NEEDED_BY_ALL
from devices.boards.profile import KIB
from devices.program.regimes import PLAIN

SHARE = 1 / 3
"""Of plain backpropagation's peak: what a recipe may take."""
NEEDED = (*NEEDED_BY_ALL, "bit_chain", "training_macs", "paged_kib", "images", "classes")
"""What the table needs of every line."""


@dataclass(frozen=True)
class Peaks:
    """KiB on the board at the batch size of the training, and at 1."""

    batch: float
    one: float

    def beside(self, plain: "Peaks") -> "Peaks":
        """As shares of plain backpropagation's."""
        return Peaks(self.batch / plain.batch, self.one / plain.one)


@dataclass(frozen=True)
class Plain:
    """Plain backpropagation of the same network and bits."""

    peaks: Peaks
    macs: int  # of a step


@dataclass(frozen=True)
class RecipeRow:
    """All seeds of one recipe."""

    recipe: Recipe
    lines: tuple[Mapping[str, Any], ...]  # of the record
    changes: Mapping[str, Any]  # what is other than in the base
    over_seeds: Errors
    beside: Paired | None  # its error minus the base's; None: it is the base, or they share no seed
    peaks: Peaks
    paged: Peaks | None  # of the regime that ends with the same bits and has other blocks in flash
    start: Peaks | None  # of the run that it starts from, if it is known
    plain: Plain
    work: float  # multiply-accumulates of the whole training, and of what it starts from, beside plain bp's
    seconds: float

    @property
    def error(self) -> float:
        """Mean test error; infinite where all runs diverged."""
        spread = self.over_seeds.spread
        return spread.mean if spread else math.inf

    @property
    def share(self) -> Peaks:
        """Of plain backpropagation's peaks: the lower of its own and those with paged blocks."""
        paged = self.paged or self.peaks
        lower = Peaks(min(self.peaks.batch, paged.batch), min(self.peaks.one, paged.one))
        return self.whole(lower).beside(self.plain.peaks)

    def whole(self, peaks: Peaks) -> Peaks:
        """No lower than those of the run that it starts from, which a board would have to train as well."""
        start = self.start or peaks
        return Peaks(max(peaks.batch, start.batch), max(peaks.one, start.one))


def recipe_rows(
    rows: Iterable[Mapping[str, Any]],
    space: RecipeSpace,
    protocol: QatProtocol,
    named: Mapping[str, Recipe] | None = None,
) -> tuple[RecipeRow, ...]:
    """The recorded runs of one protocol, best first; ``space`` says what the base is.

    ``named`` are the recipes of those that are asked for today, by key: the weights that they start from may
    have had another name when they were recorded, and other weights theirs.
    """
    rows = tuple(rows)
    groups = _groups(rows, named or {})
    base = space.base.trained
    theirs = errors_of(groups[base]).by_seed if base in groups else {}

    @cache
    def plain(bits: int) -> Plain:
        return plain_of(space, protocol, bits, rows[0])

    found = (_row(recipe, own, base, theirs, plain(recipe.bits)) for recipe, own in groups.items())
    return tuple(sorted(found, key=lambda row: row.error))


def _groups(
    rows: Iterable[Mapping[str, Any]], named: Mapping[str, Recipe]
) -> dict[Recipe, list[dict[str, Any]]]:
    """All seeds of each recipe."""
    asked: dict[Recipe, list[dict[str, Any]]] = {}
    others: dict[Recipe, list[dict[str, Any]]] = {}
    for row in rows:
        recipe = named.get(row["key"])
        found = others if recipe is None else asked
        found.setdefault(recipe or recipe_of(row), []).append(dict(row))
    taken = {recipe.init for recipe in asked if recipe.init}
    parted = {
        recipe: own
        for name, lines in others.items()
        for recipe, own in _by_start(name, lines, name.init in taken).items()
    }
    return {recipe: [*asked.get(recipe, ()), *parted.get(recipe, ())] for recipe in (*asked, *parted)}


def _by_start(recipe: Recipe, rows: list[dict[str, Any]], taken: bool) -> dict[Recipe, list[dict[str, Any]]]:
    """Parted by the weights under the name of the start, where a seed was trained from several of them.

    So they are where the name is ``taken`` by other weights.
    """
    digests = [*dict.fromkeys(row.get("init") for row in rows)]
    if not taken and (len({row["seed"] for row in rows}) == len(rows) or len(digests) == 1):
        return {recipe: rows}
    return {
        replace(recipe, init=f"{recipe.init}, weights {digest}"): [r for r in rows if r["init"] == digest]
        for digest in digests
    }


def _row(
    recipe: Recipe, rows: Sequence[dict[str, Any]], base: Recipe, theirs: Mapping[int, float], plain: Plain
) -> RecipeRow:
    first, own = rows[0], errors_of(rows)
    changes = recipe.changes(base)
    pairs = [(error, theirs[seed]) for seed, error in own.by_seed.items() if seed in theirs]
    macs = first["training_macs"] + (first.get("start_macs") or 0)
    steps = first["images"][0] // first["batch_size"] * first["epochs"]
    return RecipeRow(
        recipe, tuple(rows), changes, own, compared(pairs) if pairs and changes else None,
        Peaks(first["peak_kib"], first["peak_kib_of_one"]),
        Peaks(*first["paged_kib"]) if first["paged_kib"] else None,
        Peaks(*first["start_kib"]) if first.get("start_kib") else None, plain,
        macs / (plain.macs * steps), mean(row["seconds"] for row in rows),
    )  # fmt: skip


def plain_of(space: RecipeSpace, protocol: QatProtocol, bits: int, row: Mapping[str, Any]) -> Plain:
    """Plans plain backpropagation of these bits, for images as ``row`` had them; nothing is loaded."""
    recipe = replace(space.base, regime=PLAIN, bits=bits, bit_chain=(), init="").trained
    config = config_of(space, protocol, recipe, protocol.seeds[0])
    images = ImageSettings(in_shape=tuple(row["in_shape"]), classes=row["classes"])
    prepared = prepare(replace(config, images=images, output=OutputSettings(dry_run=True)))
    plan, of_one = prepared.plan(PLAIN), prepared.plan(PLAIN, 1)
    return Plain(Peaks(plan.peak_bytes / KIB, of_one.peak_bytes / KIB), plan.schedule.macs)
