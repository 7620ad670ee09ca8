"""Training: one regime per file over one shared loop."""

from blockwise.training.bp import Backpropagation
from blockwise.training.bp_checkpoint import CheckpointedBackpropagation
from blockwise.training.local import LocalLearning
from blockwise.training.local_resident import ResidentLocalLearning
from blockwise.training.loop import Run
from blockwise.training.options import TrainOptions, Watcher
from blockwise.training.phase import Regime
from blockwise.training.updater import DEFAULT_LEARNING_RATE, OPTIMIZERS

__all__ = ["DEFAULT_LEARNING_RATE", "OPTIMIZERS", "REGIMES", "Regime", "Run", "TrainOptions", "Watcher"]

REGIMES: dict[str, Regime] = {
    regime.name: regime
    for regime in (
        Backpropagation(),
        CheckpointedBackpropagation(),
        LocalLearning(),
        ResidentLocalLearning(),
    )
}
