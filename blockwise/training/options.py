"""What a training run is told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from blockwise.quant import ONE_STAGE, Stages
from blockwise.quant.precision import FLOAT32
from blockwise.training.outcome import Epoch
from blockwise.training.updater import WEIGHT_DECAY
from devices.program.distillation import Distillation

ZHANG = Distillation(3.0, 0.3)
"""How the deepest classifier teaches in the code of Zhang et al. 2019 (arXiv 1905.08094)."""


class Watcher(Protocol):
    """Told how training goes; draws progress bars, or does nothing."""

    def phase(self, regime: str, block: str, batches: int, epochs: int) -> None:
        """A phase of ``batches`` steps in so many epochs begins."""

    def batch(self, done: int) -> None:
        """``done`` steps of the phase are finished."""

    def epoch(self, regime: str, epoch: Epoch) -> None:
        """An epoch is finished and its checkpoint written."""


class Silent:
    """A watcher that does nothing."""

    def phase(self, regime: str, block: str, batches: int, epochs: int) -> None:
        """Nothing."""

    def batch(self, done: int) -> None:
        """Nothing."""

    def epoch(self, regime: str, epoch: Epoch) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Perturbation:
    """How zeroth-order regimes step: how far they look, how fast they go, along how many directions."""

    eps: float = 0.03  # of float weights: so far to either side
    rate: float = 0.01  # their highest learning rate, by the schedule of the training
    directions: int = 1  # of a step
    backprop_blocks: int = 1  # the last blocks of a hybrid, which are trained by backpropagation
    range: int = 15  # of 8-bit weights: so many units to either side at most
    mu: int = 2  # their first learning rate, in bits


@dataclass(frozen=True)
class TrainOptions:
    """How to train, whatever the regime."""

    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    fused: bool
    seed: int
    last_epochs: int | None = None  # of the last of several phases, where it has its own
    schedule: str = "one-cycle"  # of the learning rate
    weight_decay: float = WEIGHT_DECAY
    perturbation: Perturbation = field(default_factory=Perturbation)
    distillation: Distillation | None = None  # how the last block teaches, where blocks learn together
    skip_heads: float = 0.0  # share of steps in which a block does not learn, there
    mu: int = 5  # the first learning rate of integer regimes, in bits
    jump_every: int = 1  # batches whose gradients states of weights wait for before they jump
    stages: Stages = ONE_STAGE
    accelerator: str = "cpu"  # a torch device
    compile: bool = False
    precision: str = FLOAT32  # of the simulation's convolutions
    checkpoint: Path | None = None  # where to keep the state after each epoch, if anywhere
    fingerprint: str = ""  # of everything that a checkpoint must agree with
    digest: bool = False  # whether to digest the final weights
    digest_log: Path | None = None  # where to write the digest of the weights after every step, if anywhere
    watcher: Callable[[], Watcher] = Silent
