"""The same comparison under several seeds: mean and standard deviation of each regime's test accuracy."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from blockwise.experiment.result import Result


@dataclass(frozen=True)
class OverSeeds:
    """A regime. Accuracies are fractions in 0..1, in the order of the seeds; None where it diverged."""

    regime: str
    trained_as: str  # the regime whose trainings these are
    accuracies: tuple[float | None, ...]
    mean: float | None  # None: every training diverged
    deviation: float | None  # of a sample, divided by n - 1; None: fewer than two have an accuracy


@dataclass(frozen=True)
class Seeds:
    """What came of all of them."""

    seeds: tuple[int, ...]
    runs: tuple[str, ...]  # the folder of each, within that of all
    regimes: tuple[OverSeeds, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain objects."""
        return asdict(self)


def over_seeds(results: Sequence[Result], runs: Sequence[str]) -> Seeds:
    """Put together results of one configuration that differ in their seeds."""
    rows = []
    for same in zip(*(result.regimes for result in results), strict=True):
        found = tuple(regime.test_accuracy for regime in same)
        known = [accuracy for accuracy in found if accuracy is not None]
        mean = statistics.fmean(known) if known else None
        deviation = statistics.stdev(known) if len(known) > 1 else None
        rows.append(OverSeeds(same[0].regime, same[0].trained_as, found, mean, deviation))
    return Seeds(tuple(result.seed for result in results), tuple(runs), tuple(rows))
