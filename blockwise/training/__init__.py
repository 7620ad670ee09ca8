"""Training: one regime per file over one shared loop."""

from blockwise.training.bp import Backpropagation
from blockwise.training.bp_checkpoint import CheckpointedBackpropagation
from blockwise.training.bp_micro import MicroBatchBackpropagation
from blockwise.training.integer import IntegerBackpropagation, IntegerLocalLearning
from blockwise.training.local import LocalLearning
from blockwise.training.local_resident import ResidentLocalLearning
from blockwise.training.loop import Run
from blockwise.training.options import TrainOptions, Watcher
from blockwise.training.phase import Regime
from blockwise.training.schedules import SCHEDULES
from blockwise.training.updater import DEFAULT_LEARNING_RATE, OPTIMIZERS, WEIGHT_DECAY
from devices.program.integer import FORMS, LOCAL_SUFFIX
from devices.program.regimes import INTEGER_REGIMES as PLANNED

__all__ = [
    "ALL_REGIMES",
    "DEFAULT_LEARNING_RATE",
    "DEFAULT_REGIMES",
    "INTEGER_REGIMES",
    "OPTIMIZERS",
    "REGIMES",
    "SCHEDULES",
    "WEIGHT_DECAY",
    "Regime",
    "Run",
    "TrainOptions",
    "Watcher",
    "make_regime",
]

REGIMES: dict[str, Regime] = {
    regime.name: regime
    for regime in (
        Backpropagation(),
        Backpropagation("bp-fused"),
        CheckpointedBackpropagation(),
        Backpropagation("bp-best"),
        MicroBatchBackpropagation(),
        LocalLearning(),
        LocalLearning("local-paged"),
        ResidentLocalLearning(),
    )
}
INTEGER_REGIMES: dict[str, Regime] = {
    regime.name: regime
    for name in FORMS
    for regime in (IntegerBackpropagation(name), IntegerLocalLearning(f"{name}{LOCAL_SUFFIX}"))
    if regime.name in PLANNED
}
"""On integers alone."""
ALL_REGIMES = REGIMES | INTEGER_REGIMES
DEFAULT_REGIMES = ("bp", "bp-best", "local", "local-paged", "local-resident")
"""What is compared unless the user says otherwise: plain and best-engineered, global and local."""


def make_regime(name: str, micro_batch: int) -> Regime:
    """The regime ``name``, with so many images at a time where that matters."""
    return MicroBatchBackpropagation(micro_batch) if name == "bp-micro" else ALL_REGIMES[name]
