"""How far a method ends from float32, beside how far it does in the reference study, and what explains it.

A row whose distance differs from the reference's by more than :data:`LIMIT` is flagged. An experiment
explains it: a recorded training of the same method that differs in one condition alone, and whose distance to
float32, trained under that condition too, is within the limit. Where there is none, one whose distance is on
the other side of the reference's shows that the condition moves it by more than is to be explained. Where one
condition is not enough, one more is changed: each of the trainings on the way is recorded, and told.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from blockwise.statistics.paired import compared
from blockwise.studies.errors import Errors, errors_of
from blockwise.training import DEFAULT_LEARNING_RATE
from devices.program.accountings import FLOAT_BITS

LIMIT = 0.03
"""Of the test error: about what 5,000 test images leave open of the difference of two."""

TRAINING = (
    "model", "width", "norm", "epochs", "batch_size", "optimizer", "learning_rate", "data", "in_shape",
    "revision", "precision", "regime", "head", "blocks", "augment", "init", "last_epochs", "distill",
    "skip_heads",
)  # fmt: skip
"""Conditions that a method shares with the float32 network beside it.

An optimizer comes with its learning rate: a rate is another condition only where it is not the usual one.
"""
NUMBERS = ("weight_bits", "activations", "residual", "bit_chain")
"""Conditions of its own."""
FLOAT: tuple[Any, ...] = (FLOAT_BITS, "", "", ())
"""Those of float32."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """A condition that was another than before, and how far from float32 the method ended with it."""

    condition: str
    value: str
    to_float: float
    runs: int


@dataclass(frozen=True)
class Experiment:
    """What was different: most often one condition, else one after the other."""

    changes: tuple[Change, ...]
    beyond: bool = False  # the reference's distance lies between this one and the row's

    @property
    def to_float(self) -> float:
        """How far from float32 the method ended with all of them."""
        return self.changes[-1].to_float


@dataclass(frozen=True)
class Distance:
    """Test errors above that of float32; ``theirs`` is the reference study's."""

    ours: float
    theirs: float
    experiment: Experiment | None = None  # that explains the difference

    @property
    def flagged(self) -> bool:
        """Whether they differ by more than the limit."""
        return abs(self.ours - self.theirs) > LIMIT


@dataclass(frozen=True)
class Trained:
    """All recorded seeds under one set of conditions."""

    method: str
    training: tuple[Any, ...]
    numbers: tuple[Any, ...]
    errors: Errors

    def differs_in(self, other: "Trained") -> list[tuple[str, Any]]:
        """The conditions that are others here, with their values here."""
        names = (*TRAINING, *NUMBERS)
        own, theirs = (*self.training, *self.numbers), (*other.training, *other.numbers)
        return [(name, a) for name, a, b in zip(names, own, theirs, strict=True) if a != b]


def trained(rows: Iterable[Row]) -> tuple[Trained, ...]:
    """The recorded lines, all seeds of the same conditions together; those that all diverged are left out."""
    groups: dict[tuple[str, tuple[Any, ...], tuple[Any, ...]], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["method"], _training(row), _numbers(row)), []).append(row)
    found = (Trained(*key, errors=errors_of(lines)) for key, lines in groups.items())
    return tuple(group for group in found if group.errors.values)


def _training(row: Row) -> tuple[Any, ...]:
    rate = row["learning_rate"]
    own = row | {"learning_rate": None if rate == DEFAULT_LEARNING_RATE.get(row["optimizer"]) else rate}
    return tuple(tuple(v) if isinstance(v := own.get(name), list) else v for name in TRAINING)


def _numbers(row: Row) -> tuple[Any, ...]:
    if row["weight_bits"] == row["activation_bits"] == FLOAT_BITS:  # nothing else says anything
        return FLOAT
    activations = f"{row['activation_method']}, {row['activation_bits']} bits"
    return row["weight_bits"], activations, row["residual"], tuple(row.get("bit_chain") or ())


def distance(group: Trained, theirs: float, everything: Sequence[Trained]) -> Distance | None:
    """Of one row; None where no float32 network was trained like it."""
    ours = to_float(group, everything)
    if ours is None:
        return None
    bare = Distance(ours, theirs)
    return replace(bare, experiment=_explanation(group, theirs, everything)) if bare.flagged else bare


def to_float(group: Trained, everything: Iterable[Trained]) -> float | None:
    """Mean error above that of float32 trained alike, over the seeds that both have if there are any."""
    floats = [g for g in everything if g.numbers == FLOAT and g.training == group.training]
    if not floats:
        return None
    beside, own = floats[0].errors, group.errors
    pairs = [(error, beside.by_seed[s]) for s, error in own.by_seed.items() if s in beside.by_seed]
    if pairs:
        return compared(pairs).difference.mean
    return own.contestant("").mean - beside.contestant("").mean


def _explanation(group: Trained, theirs: float, everything: Sequence[Trained]) -> Experiment | None:
    """Of those that change fewest conditions the nearest to the reference, within the limit or beyond."""
    ours = to_float(group, everything)
    alike = [other for other in everything if other.method == group.method]
    reached: list[tuple[Trained, tuple[Change, ...]]] = [(group, ())]
    while ours is not None and reached:
        reached = [
            (other, (*changes, change))
            for last, changes in reached
            for other in alike
            if len(other.differs_in(group)) > len(changes)
            if (change := _change(last, other, everything))
        ]
        found = [_experiment(changes, ours, theirs) for _, changes in reached]
        explaining = [experiment for experiment in found if experiment]
        if explaining:
            return min(explaining, key=lambda experiment: abs(experiment.to_float - theirs))
    return None


def _change(before: Trained, after: Trained, everything: Sequence[Trained]) -> Change | None:
    """The condition that tells two trainings apart; None where that is not one, or no float32 is beside."""
    changed, found = after.differs_in(before), to_float(after, everything)
    if len(changed) != 1 or found is None:
        return None
    ((condition, value),) = changed
    return Change(condition, str(value), found, after.errors.runs)


def _experiment(changes: tuple[Change, ...], ours: float, theirs: float) -> Experiment | None:
    """What ends within the limit of the reference's distance, or on the other side of it."""
    reached = changes[-1].to_float
    near, passed = abs(reached - theirs) <= LIMIT, (reached - theirs) * (ours - theirs) < 0
    return Experiment(changes, beyond=not near) if near or passed else None
