"""The same comparison under several seeds: what each regime reaches, and which differences seeds tell."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from blockwise.experiment.result import RegimeResult, Result
from blockwise.statistics.paired import Paired, compared
from blockwise.statistics.shares import at_chance
from blockwise.statistics.spread import Spread
from blockwise.statistics.standing import Contestant, Standing, standing
from devices.errors import InputError


@dataclass(frozen=True)
class OverSeeds:
    """A regime. Accuracies are fractions in 0..1, in the order of the seeds; None where it diverged."""

    regime: str
    trained_as: str  # the regime whose trainings these are
    accuracies: tuple[float | None, ...]
    mean: float | None  # None: every training diverged
    deviation: float | None  # of a sample, divided by n - 1; None: fewer than two have an accuracy
    interval: tuple[float, float] | None  # where the mean of all seeds lies at 95 %
    diverged: int
    at_chance: int  # that test images do not tell from guessing; they are in the mean
    beside: Paired | None  # minus the first regime under the same seed; None for itself and where none is


@dataclass(frozen=True)
class Seeds:
    """What came of all of them."""

    seeds: tuple[int, ...]
    runs: tuple[str, ...]  # the folder of each, within that of all
    regimes: tuple[OverSeeds, ...]
    standing: Standing | None  # of regimes that end with different bits; None: all trainings diverged

    @property
    def diverged(self) -> bool:
        """Whether every training did."""
        return all(row.mean is None for row in self.regimes)

    def to_json(self) -> dict[str, Any]:
        """Plain objects."""
        return asdict(self)


def over_seeds(results: Sequence[Result], runs: Sequence[str]) -> Seeds:
    """Put together results of one configuration that differ in their seeds.

    Raises InputError for results of several networks, which have no mean.
    """
    for other, found in zip(runs, results, strict=True):
        if told := _differs(found, results[0]):
            raise InputError(
                f"runs {runs[0]} and {other}", got=f"{told} not the same",
                wanted="those of one configuration", do="train one of them again in a folder of its own",
            )  # fmt: skip
    first, columns = results[0], list(zip(*(result.regimes for result in results), strict=True))
    rows = tuple(_row(same, columns[0], first) for same in columns)
    seeds = tuple(result.seed for result in results)
    anew = [row for row in rows if not row.trained_as]
    contestants = [_contestant(row, seeds, first.data.test) for row in anew]
    return Seeds(seeds, tuple(runs), rows, standing(contestants))


def _differs(found: Result, first: Result) -> str:
    """What a run has otherwise than the first beside its seed, in words; empty where it is nothing."""
    digests = {run.initial.digest if run.initial else "" for run in (found, first)}
    samples = {run.data.contents for run in (found, first)} - {""}  # of an earlier version: not known
    if found.model != first.model or max(len(digests), len(samples)) > 1:
        return "networks, trained weights or samples that are"
    if [row.regime for row in found.regimes] != [row.regime for row in first.regimes]:
        return "regimes that are"
    known = (found.config.keys() & first.config.keys()) - {"seed"}  # an earlier version has fewer
    other = sorted(name for name in known if found.config[name] != first.config[name])
    return f"settings ({other[0]}) that are" if other else ""


def _row(same: Sequence[RegimeResult], reference: Sequence[RegimeResult], first: Result) -> OverSeeds:
    found = tuple(regime.test_accuracy for regime in same)
    known = [accuracy for _, accuracy in _known(found, found)]
    spread = Spread.of(known) if known else None
    theirs = [other.test_accuracy for other in reference]
    pairs = [(a, b) for a, b in zip(found, theirs, strict=True) if a is not None and b is not None]
    guessing = sum(at_chance(a, first.data.test, first.model.num_classes) for a in known)
    return OverSeeds(
        same[0].regime, same[0].trained_as, found,
        spread.mean if spread else None, spread.deviation if spread else None,
        spread.interval if spread else None, len(found) - len(known), guessing,
        compared(pairs) if pairs and same is not reference else None,
    )  # fmt: skip


def _contestant(row: OverSeeds, seeds: Sequence[int], images: int) -> Contestant:
    errors = {seed: 1 - accuracy for seed, accuracy in _known(seeds, row.accuracies)}
    return Contestant(row.regime, errors, images, row.diverged + row.at_chance)


def _known(names: Sequence[Any], found: Sequence[float | None]) -> list[tuple[Any, float]]:
    return [(name, value) for name, value in zip(names, found, strict=True) if value is not None]
