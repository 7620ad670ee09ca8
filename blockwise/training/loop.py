"""The loop that all regimes share: phases, epochs, batches, validation, checkpoints.

A checkpoint after every epoch holds all that the next one depends on; order and augmentation
depend on (seed, epoch) alone. An interrupted run therefore ends with the bits of an uninterrupted
one.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from blockwise.data import Dataset, batch_count, batch_indices, batches, generator
from blockwise.experiment.result import Divergence, Epoch, Host, Training
from blockwise.nets.blocks import BlockNet, compiled, frozen_statistics
from blockwise.training import calibration, checkpoint
from blockwise.training.circumstances import Circumstances
from blockwise.training.digest import StepLog, digest
from blockwise.training.divergence import Diverged, Losses, first_broken
from blockwise.training.draws import random_state, set_random_state
from blockwise.training.evaluate import Evaluation, evaluate
from blockwise.training.features import LAYOUT, FeatureCache, cache_features, laid_out, pays
from blockwise.training.host import PeakRSS, StorageCounter
from blockwise.training.numerics import TrainableNet, numerics_of
from blockwise.training.options import TrainOptions
from blockwise.training.phase import Phase, Procedure
from blockwise.training.start import first_images


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
    divergence: dict[str, Any] | None = None


class Run:
    """One regime's training of one network on one data set."""

    def __init__(self, net: TrainableNet, data: Dataset, regime: Procedure, options: TrainOptions) -> None:
        self.data, self.regime, self.options = data, regime, options
        self.net: Any = net.to(options.accelerator).to(memory_format=LAYOUT)
        self.numerics = numerics_of(net)
        self.inputs = self.numerics.inputs(data)
        calibration.pass_floats(net)
        self.phases = regime.phases(net)
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}
        self.watcher = options.watcher()
        self.splits = {
            name: getattr(data, name).to(options.accelerator) for name in ("train", "validation", "test")
        }
        self.augment = data.augment if data.augmentable else None

    # ---------------------------------------------------------------- phases

    def train(self) -> tuple[Training, Host]:
        """Train to the end, from the checkpoint if there is one, and read the test set once.

        A training that diverges is stopped there, which is its outcome.
        """
        self.numerics.check(self.options.accelerator)
        calibration.check(self.net, self.splits["train"])
        updater_state = self._resume()
        log = self.options.digest_log
        self.log = StepLog(log, self.progress.logged) if log else None
        with PeakRSS() as rss:
            if self.progress.divergence is None:
                try:
                    self._train_on(updater_state, rss)
                except Diverged as stop:
                    self.progress.divergence = asdict(stop.found)
            self._note(rss)
        self._save(None)
        return self._outcome(), self._host()

    def _train_on(self, updater_state: list[dict[str, Any]] | None, rss: PeakRSS) -> None:
        for index in range(self.progress.phase, len(self.phases)):
            self._train_phase(self.phases[index], updater_state, rss)
            updater_state = None
        if not self.progress.calibrated:
            self._calibrate()
        if self.progress.test_accuracy is None:
            self._test()

    def _train_phase(self, phase: Phase, updater_state: list[dict[str, Any]] | None, rss: PeakRSS) -> None:
        started = time.perf_counter()
        self._freeze(phase)
        updater = self.numerics.updater(self.net, self.options)
        if updater_state is not None:
            updater.load_state_dict(updater_state)
        cache = self._cache(phase)
        self.watcher.phase(self.regime.name, phase.block, self._steps * self.options.epochs)
        net = self._compiled()
        while self.progress.epoch < self.options.epochs:
            if self._enter_stage(phase) or self.progress.epoch == 0:
                updater.forget_resized()
                self._prepare(phase, cache)
            self._train_epoch(phase, net, updater, cache)
            now = time.perf_counter()
            self.progress.seconds, started = self.progress.seconds + now - started, now
            self._note(rss)
            self._save(updater)
            self.watcher.epoch(self.regime.name, Epoch(**self.progress.history[-1]))
        updater.close()
        self._finish_phase()

    def _finish_phase(self) -> None:
        """Go back to the best epoch, and on to the next phase."""
        self.net.load_state_dict(self.best)
        self.progress.phase += 1
        self.progress.epoch, self.progress.best_score = 0, float("-inf")
        self.progress.stage = -1

    def _freeze(self, phase: Phase) -> None:
        for index in range(len(self.net)):
            trained = phase.first <= index < phase.last
            self.net.bodies[index].requires_grad_(trained)
            self.net.heads[index].requires_grad_(trained and index in phase.heads)

    def _enter_stage(self, phase: Phase) -> bool:
        """Tell the quantizers of the blocks in training which stage comes; whether it is a new one."""
        stage = self.options.stages.at(self.progress.epoch, self.options.epochs)
        if stage == self.progress.stage:
            return False
        self.progress.stage = stage
        self._tell_stage(phase, stage)
        return True

    def _tell_stage(self, phase: Phase, stage: int) -> None:
        for index in range(phase.first, phase.last):
            self.options.stages.enter(self.net.bodies[index], stage)

    def _cache(self, phase: Phase) -> FeatureCache | None:
        self.net.eval()
        split, first = self.splits["train"], phase.first
        if not pays(self.net, first, split, self.options.epochs, augmented=bool(self.augment)):
            return None
        return cache_features(self.net, first, split, self.options.batch_size, self.inputs)

    def _prepare(self, phase: Phase, cache: FeatureCache | None) -> None:
        """Let quantizers and frozen norms choose their constants on the first images, before any step."""
        x = first_images(x for x, _ in self._inputs(phase, cache))
        self._mode(phase)
        with torch.no_grad(), frozen_statistics(self.net):
            self.net.run(x, phase.first, phase.last)

    def _compiled(self) -> Any:
        """The network whose blocks and heads are compiled, if asked for; it shares all state.

        Integer layers choose their way by the values they meet: they are not compiled.
        """
        compiles = self.options.compile and isinstance(self.net, BlockNet)
        return compiled(self.net) if compiles else self.net

    # ---------------------------------------------------------------- epochs

    @property
    def _steps(self) -> int:
        return batch_count(len(self.splits["train"]), self.options.batch_size, drop_last=True)

    @property
    def _schedule(self) -> tuple[int, int]:
        """The first epoch, and the one after the last, of the learning rate's present schedule."""
        return self.options.stages.span(self.progress.epoch, self.options.epochs)

    def _mode(self, phase: Phase) -> None:
        """Blocks in training mode are those being trained; finished ones use their statistics."""
        self.net.eval()
        for index in range(phase.first, phase.last):
            for part in (self.net.bodies, self.net.tails, self.net.heads):
                part[index].train()

    def _inputs(self, phase: Phase, cache: FeatureCache | None) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs of block ``phase.first`` and labels, one epoch."""
        options, split = self.options, self.splits["train"]
        if cache is not None:
            order = batch_indices(
                len(split), options.batch_size, seed=options.seed, epoch=self.progress.epoch,
                shuffle=True, drop_last=True,
            )  # fmt: skip
            for index in order:
                yield cache.take(index), split.labels[index.to(split.labels.device)]
            return
        loader = batches(
            split, options.batch_size, normalize=self.inputs, seed=options.seed,
            epoch=self.progress.epoch, shuffle=True, augment=self.augment, drop_last=True,
            device=options.accelerator,
        )  # fmt: skip
        for x, y in loader:
            with torch.no_grad():
                x = self.net.run(laid_out(x), 0, phase.first)
            yield laid_out(x), y

    def _train_epoch(self, phase: Phase, net: Any, updater: Any, cache: FeatureCache | None) -> None:
        started = time.perf_counter()
        self._mode(phase)
        total: Tensor | int = 0
        losses = Losses()
        done = self.progress.epoch * self._steps
        first, last = (epoch * self._steps for epoch in self._schedule)
        for count, (x, y) in enumerate(self._inputs(phase, cache), start=1):
            updater.set_progress(done + count - 1 - first, last - first)
            # By the second step the optimizer has its state: a step like all that follow.
            watched = self.progress.epoch == 0 and count == min(2, self._steps)
            found = self._step(phase, net, updater, x, y, watched=watched and not self.options.compile)
            total = total + found[-1]
            if self.log:
                self.log.add(self._weights())
            self.watcher.batch(done + count)
            if losses.add(found):
                break
        self._check(phase, losses)
        self.progress.training_seconds += time.perf_counter() - started
        self.progress.images += self._steps * self.options.batch_size
        self.progress.epoch += 1
        loss = self.numerics.mean_loss(self.net, float(total), self._steps, self.options.batch_size)
        self._validate(phase, loss, time.perf_counter() - started)

    def _step(self, phase: Phase, net: Any, updater: Any, x: Tensor, y: Tensor, *, watched: bool) -> Tensor:
        """One step, which gives the losses of all heads; a watched one counts what PyTorch holds."""
        if not watched:
            loss = self.regime.step(net, phase, x, y)
            updater.finish_step()
            return loss.view(-1)
        held = [*self.net.parameters(), *self.net.buffers(), *updater.tensors(), x, y]
        with StorageCounter(held) as counter:
            loss = self.regime.step(net, phase, x, y)
            updater.finish_step()
        self.progress.tensor_bytes = max(self.progress.tensor_bytes, counter.peak_bytes)
        return loss.view(-1)

    def _check(self, phase: Phase, losses: Losses) -> None:
        """Raise Diverged if a loss of the epoch, or what the last step has left, is not finite."""
        found, names = losses.first_bad(), self.net.names
        if found is not None:
            block = names[phase.heads[found.head]] if len(phase.heads) > 1 else phase.block
            raise self._diverged("loss", block, found.step)
        parts = (self.net.bodies[phase.first : phase.last], self.net.heads[phase.first : phase.last])
        broken = first_broken(nn.ModuleList(pair) for pair in zip(*parts, strict=True))
        if broken is not None:
            raise self._diverged("weights", names[phase.first + broken], self._steps)

    def _diverged(self, what: str, block: str, step: int) -> Diverged:
        """In this step, from 1, of the present epoch."""
        first, last = (epoch * self._steps for epoch in self._schedule)
        done = self.progress.epoch * self._steps + step - 1
        rate = self.numerics.rate(self.options, done - first, last - first)
        return Diverged(Divergence(what, block, self.progress.epoch + 1, step, rate))

    def _evaluate(self, split: str, heads: tuple[int, ...]) -> Evaluation:
        """Raises Diverged where weights are finite and their loss is not."""
        found = evaluate(self.net, self.splits[split], heads, self.inputs, self.options.accelerator)
        if not math.isfinite(found.loss):
            epoch = self.progress.epoch or self.progress.best_epoch
            block = self.net.names[heads[-1]] if heads[-1] < len(self.net) - 1 else ""
            raise Diverged(Divergence(f"{split} loss", block, epoch, None, None))
        return found

    def _accuracies(self, found: Evaluation) -> dict[str, float]:
        """By the name of the block, of the heads that predict something."""
        return {self.net.names[i]: a for i, a in found.accuracies.items() if a is not None}

    def _validate(self, phase: Phase, loss: float, seconds: float) -> None:
        accuracy, score = None, float(self.progress.epoch)  # without validation data: the last epoch
        names: dict[str, float] = {}
        if len(self.splits["validation"]):
            found = self._evaluate("validation", phase.heads)
            accuracy = found.accuracies[phase.heads[-1]]
            score = -found.loss if accuracy is None else accuracy
            names = self._accuracies(found)
        epoch = Epoch(self.progress.epoch, phase.block, loss, accuracy, seconds)
        self.progress.history.append(asdict(epoch))
        final = self.progress.stage == self.options.stages.last  # before it: not what is deployed
        if final and score >= self.progress.best_score:  # of equal epochs the later one, more trained
            self.progress.best_score, self.progress.best_epoch = score, self.progress.epoch
            self.progress.accuracies |= names
            self.best = {name: t.detach().clone() for name, t in self.net.state_dict().items()}

    def _calibrate(self) -> None:
        """Quantize what waits for the end of the training, and validate what that leaves."""
        if calibration.late_quantizers(self.net):
            calibration.calibrate(self.net, self.splits["train"], self.data.normalize)
            heads = tuple(i for i, name in enumerate(self.net.names) if name in self.progress.accuracies)
            if heads:
                self.progress.accuracies |= self._accuracies(self._evaluate("validation", heads))
        self.progress.calibrated = True

    def _test(self) -> None:
        last = len(self.net) - 1
        self.progress.test_accuracy = self._evaluate("test", (last,)).accuracies[last]

    # ------------------------------------------------------------ checkpoints

    def _save(self, updater: Any) -> None:
        if self.log:
            self.progress.logged = self.log.write()
        if self.options.checkpoint is None:
            return
        state = {
            "progress": asdict(self.progress),
            "net": self.net.state_dict(),
            "best": self.best,
            "updater": updater.state_dict() if updater else None,
            "rng": random_state(),
            "circumstances": asdict(Circumstances.now()),
        }
        checkpoint.save(self.options.checkpoint, state, self.options.fingerprint)

    def _resume(self) -> list[dict[str, Any]] | None:
        """Load the checkpoint; returns the optimizer state of the phase that goes on."""
        path = self.options.checkpoint
        state = checkpoint.load(path, self.options.fingerprint) if path else None
        if state is None:
            torch.set_rng_state(generator(self.options.seed, 0).get_state())
            return None
        self.progress = Progress(**state["progress"])
        for index, phase in enumerate(self.phases[: self.progress.phase + 1]):
            current = index == self.progress.phase
            if not current or self.progress.stage >= 0:
                stage = self.progress.stage if current else self.options.stages.last
                self._tell_stage(phase, stage)
        if self.progress.calibrated:
            calibration.take_up(self.net)
        self.net.load_state_dict(state["net"])
        self.best = state["best"]
        set_random_state(state["rng"])
        updater: list[dict[str, Any]] | None = state["updater"]
        return updater

    # ---------------------------------------------------------------- outcome

    def _weights(self) -> list[Tensor]:
        """All that the regime trains: bodies, then the heads that give a loss."""
        heads = sorted({index for phase in self.phases for index in phase.heads})
        modules = (*self.net.bodies, *(self.net.heads[index] for index in heads))
        return [weight for module in modules for weight in self.numerics.weights(module)]

    def _note(self, rss: PeakRSS) -> None:
        self.progress.rss_bytes = max(self.progress.rss_bytes, rss.bytes)

    def _outcome(self) -> Training:
        progress = self.progress
        accuracies = {} if progress.divergence else progress.accuracies
        return Training(
            test_accuracy=None if progress.divergence else progress.test_accuracy or 0.0,
            validation_accuracy=accuracies.get(self.net.names[-1]),
            best_epoch=progress.best_epoch,
            epochs=self.options.epochs,
            **self.numerics.rates(self.options),
            history=tuple(Epoch(**epoch) for epoch in progress.history),
            block_accuracies=dict(accuracies),
            seconds=progress.seconds,
            digest=digest(self._weights()) if self.options.digest and not progress.divergence else None,
            divergence=Divergence(**progress.divergence) if progress.divergence else None,
            phases=len(self.phases),
            steps=self._steps * self.options.epochs,
            images_per_second=progress.images / len(self.phases) / max(progress.training_seconds, 1e-9),
        )

    def _host(self) -> Host:
        tensor_bytes = None if self.options.compile else self.progress.tensor_bytes or None
        return Host(tensor_bytes, self.progress.rss_bytes)
