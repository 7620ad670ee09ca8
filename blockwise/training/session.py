"""A training from one epoch to the next: what a checkpoint holds, and how it is taken up again.

A checkpoint after every epoch holds all that the next one depends on; order and augmentation
depend on (seed, epoch) alone. An interrupted run therefore ends with the bits of an uninterrupted
one.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from blockwise.data import generator
from blockwise.nets.trainable import TrainableNet
from blockwise.training import calibration, checkpoint
from blockwise.training.circumstances import places_in, state_of
from blockwise.training.digest import StepLog
from blockwise.training.draws import random_state, set_random_state
from blockwise.training.host import PeakRSS
from blockwise.training.numerics import WeightUpdater
from blockwise.training.options import TrainOptions
from blockwise.training.phase import Phase
from blockwise.training.places import Circumstances, Place


@dataclass
class Progress:
    """What a checkpoint holds beside weights and optimizer state."""

    phase: int = 0
    epoch: int = 0  # epochs of the phase that are finished
    stage: int = -1  # that the quantizers of the phase are in; -1 before the first
    best_epoch: int = 0
    best_score: float = float("-inf")
    history: list[dict[str, Any]] = field(default_factory=list)
    accuracies: dict[str, float] = field(default_factory=dict)
    tensor_bytes: int = 0
    rss_bytes: int = 0
    seconds: float = 0.0
    images: int = 0
    training_seconds: float = 0.0
    logged: int = 0  # lines of the digest log
    calibrated: bool = False  # whether what is quantized after the training is so
    test_accuracy: float | None = None
    accuracy_one_by_one: float | None = None
    divergence: dict[str, Any] | None = None


class Session:
    """How far a training of ``net`` is, kept on disk if it is asked for."""

    def __init__(self, net: TrainableNet, phases: Sequence[Phase], options: TrainOptions) -> None:
        self.net, self.phases, self.options = net, phases, options
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}  # the weights of the phase's best epoch
        self.places: tuple[Place, ...] = ()  # where it was trained
        self._log: StepLog | None = None

    def begin(self) -> list[dict[str, Any]] | None:
        """Take up the checkpoint, if there is one; returns the updater's state of the phase that goes on."""
        updater = self._resume()
        log = self.options.digest_log
        self._log = StepLog(log, self.progress.logged) if log else None
        return updater

    def _resume(self) -> list[dict[str, Any]] | None:
        path = self.options.checkpoint
        state = checkpoint.load(path, self.options.fingerprint) if path else None
        if state is None:
            torch.set_rng_state(generator(self.options.seed, 0).get_state())
            return None
        vars(self.progress).update(vars(Progress(**state["progress"])))
        for index, phase in enumerate(self.phases[: self.progress.phase + 1]):
            current = index == self.progress.phase
            if not current or self.progress.stage >= 0:
                self.tell_stage(phase, self.progress.stage if current else self.options.stages.last)
        if self.progress.calibrated:
            calibration.take_up(self.net)
        self.net.load_state_dict(state["net"])
        self.best = state["best"]
        self.places = places_in(state, self.phases[0].block)
        set_random_state(state["rng"])
        updater: list[dict[str, Any]] | None = state["updater"]
        return updater

    @property
    def epochs(self) -> int:
        """Of the present phase."""
        own = self.options.last_epochs if 0 < self.progress.phase == len(self.phases) - 1 else None
        return self.options.epochs if own is None else own

    def save(self, updater: WeightUpdater | None) -> None:
        """After an epoch, or without an updater at the end."""
        if self._log:
            self.progress.logged = self._log.write()
        if self.options.checkpoint is None:
            return
        state = {
            "progress": asdict(self.progress),
            "net": self.net.state_dict(),
            "best": self.best,
            "updater": updater.state_dict() if updater else None,
            "rng": random_state(),
            **state_of(self.places),
        }
        checkpoint.save(self.options.checkpoint, state, self.options.fingerprint)

    def begin_epoch(self, phase: Phase) -> None:
        """An epoch of ``phase`` is trained here, which may be elsewhere than the ones before."""
        now = Circumstances.now(self.options.accelerator, compiled=self.options.compile)
        if not self.places or not self.places[-1].circumstances.like(now):
            self.places += (Place(phase.block, self.progress.epoch + 1, now),)

    def log(self, weights: Callable[[], Sequence[Tensor]]) -> None:
        """After a step."""
        if self._log:
            self._log.add(weights())

    def note(self, rss: PeakRSS) -> None:
        """The most memory that the process has had."""
        self.progress.rss_bytes = max(self.progress.rss_bytes, rss.bytes)

    # ----------------------------------------------------------------- stages

    def enter_stage(self, phase: Phase) -> bool:
        """Tell the quantizers of the blocks in training which stage comes; whether it is a new one."""
        stage = self.options.stages.at(self.progress.epoch, self.epochs)
        if stage == self.progress.stage:
            return False
        self.progress.stage = stage
        self.tell_stage(phase, stage)
        return True

    def tell_stage(self, phase: Phase, stage: int) -> None:
        """Tell the quantizers of the blocks in training that ``stage`` is on."""
        at_rest = {part for module in self.net.resting for part in module.modules()}
        for index in phase.blocks:
            self.options.stages.enter(self.net.bodies[index], stage, but=at_rest)
        for module in self.net.resting:  # as deployed from the start
            self.options.stages.enter(module, self.options.stages.last)

    def next_phase(self) -> None:
        """The present one is finished."""
        self.progress.phase += 1
        self.progress.epoch, self.progress.best_score = 0, float("-inf")
        self.progress.stage = -1
