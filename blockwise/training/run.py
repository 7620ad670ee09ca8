"""The loop that all regimes share: phases, epochs and steps."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Generic

import torch
from torch import Tensor, nn

from blockwise.data import Dataset, batch_count, batch_indices, batches
from blockwise.integer.accumulate import SumTooLarge
from blockwise.nets.blocks import frozen_statistics
from blockwise.system.allocator import keeping_freed_memory
from blockwise.training import calibration
from blockwise.training.digest import digest
from blockwise.training.divergence import Diverged, Losses, first_broken
from blockwise.training.features import FeatureCache, cache_features, in_layout, laid_out, pays
from blockwise.training.host import PeakRSS, StorageCounter
from blockwise.training.numerics import WeightUpdater, numerics_of
from blockwise.training.options import TrainOptions
from blockwise.training.outcome import LARGEST_SUM, Divergence, Epoch, Host, Training
from blockwise.training.phase import Net, Phase, Procedure
from blockwise.training.selection import Selection
from blockwise.training.session import Progress, Session
from blockwise.training.start import first_images
from devices.program.regimes import find


class Run(Generic[Net]):
    """One regime's training of one network on one data set."""

    def __init__(self, net: Net, data: Dataset, regime: Procedure[Net], options: TrainOptions) -> None:
        self.data, self.regime, self.options = data, regime, options
        self.net: Net = in_layout(net.to(options.accelerator))
        self.numerics = numerics_of(net)
        self.numerics.lower(net, options, regime.name)
        self.inputs = self.numerics.inputs(data)
        calibration.pass_floats(net)
        self.phases = regime.phases(net)
        self.watcher = options.watcher()
        self.splits = {
            name: getattr(data, name).to(options.accelerator) for name in ("train", "validation", "test")
        }
        self.augment = data.augment if data.augmentable else None
        self.session = Session(self.net, self.phases, options)
        self.selection = Selection(self.net, self.splits, self.inputs, self.session)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self.session.progress

    # ---------------------------------------------------------------- phases

    def train(self) -> tuple[Training, Host]:
        """Train to the end, from the checkpoint if there is one, and read the test set once.

        A training that diverges is stopped there, which is its outcome.
        """
        self.numerics.check(self.options.accelerator)
        calibration.check(self.net, self.splits["train"])
        updater_state = self.session.begin()
        with keeping_freed_memory(), PeakRSS() as rss:
            if self.progress.divergence is None:
                try:
                    self._train_on(updater_state, rss)
                except Diverged as stop:
                    self.progress.divergence = asdict(stop.found)
            self.session.note(rss)
        self.session.save(None)
        return self._outcome(), self._host()

    def _train_on(self, updater_state: list[dict[str, Any]] | None, rss: PeakRSS) -> None:
        for index in range(self.progress.phase, len(self.phases)):
            self._train_phase(self.phases[index], updater_state, rss)
            updater_state = None
        if not self.progress.calibrated:
            self.selection.calibrate(self.data.normalize)
        if self.progress.test_accuracy is None:
            self.selection.test()
        if self.progress.accuracy_one_by_one is None:
            split, device = self.splits["test"], self.options.accelerator
            self.progress.accuracy_one_by_one = self.numerics.accuracy_one_by_one(self.net, split, device)

    def _train_phase(self, phase: Phase, updater_state: list[dict[str, Any]] | None, rss: PeakRSS) -> None:
        started = time.perf_counter()
        self._freeze(phase)
        updater = self.numerics.updater(self.net, self.options, self.regime.name)
        if updater_state is not None:
            updater.load_state_dict(updater_state)
        self._settle_front(phase)
        cache = self._cache(phase)
        epochs = self.session.epochs
        self.watcher.phase(self.regime.name, phase.block, self._steps * epochs, epochs)
        net = self.numerics.compiled(self.net) if self.options.compile else self.net
        while self.progress.epoch < epochs:
            self.session.begin_epoch(phase)
            if self.session.enter_stage(phase) or self.progress.epoch == 0:
                updater.forget_resized()
                self._prepare(phase, cache)
            epoch = self._train_epoch(phase, net, updater, cache)
            now = time.perf_counter()
            self.progress.seconds, started = self.progress.seconds + now - started, now
            self.session.note(rss)
            self.session.save(updater)
            self.watcher.epoch(self.regime.name, epoch)
        updater.close()
        self._finish_phase()

    def _finish_phase(self) -> None:
        """Go back to the best epoch, and on to the next phase."""
        self.selection.restore()
        self.session.next_phase()

    def _freeze(self, phase: Phase) -> None:
        for index in range(len(self.net)):
            trained = index in phase.blocks
            self.net.bodies[index].requires_grad_(trained)
            self.net.heads[index].requires_grad_(trained and index in phase.heads)
        self.net.hold()

    def _settle_front(self, phase: Phase) -> None:
        """Let blocks before ``phase`` that never learn choose their constants on the first images."""
        if self.net.part is None or not phase.first or self.progress.epoch or not self.net.alone:
            return
        self.net.eval()
        with torch.no_grad(), frozen_statistics(self.net):
            self.net.run(first_images(x for x, _ in self._images()), 0, phase.first)

    def _cache(self, phase: Phase) -> FeatureCache | None:
        self.net.eval()
        split, first = self.splits["train"], phase.first
        if not pays(self.net, first, split, self.session.epochs, augmented=bool(self.augment)):
            return None
        return cache_features(self.net, first, split, self.options.batch_size, self.inputs)

    def _prepare(self, phase: Phase, cache: FeatureCache | None) -> None:
        """Let quantizers and frozen norms choose their constants on the first images, before any step."""
        if not self.net.alone:  # integers have neither
            return
        x = first_images(x for x, _ in self._inputs(phase, cache))
        self._mode(phase)
        # validation looks at the network's own output where no block behind is yet to learn
        last = len(self.net) if self.net.settled_behind(phase.last) else phase.last
        with torch.no_grad(), frozen_statistics(self.net):
            self.net.run(x, phase.first, last)

    # ---------------------------------------------------------------- epochs

    @property
    def _steps(self) -> int:
        return batch_count(len(self.splits["train"]), self.options.batch_size, drop_last=True)

    def _behind(self, count: int) -> tuple[int, int]:
        """Steps of the learning rate's present schedule behind step ``count`` of the epoch, and all of it."""
        first, last = self.options.stages.span(self.progress.epoch, self.session.epochs)
        done = (self.progress.epoch - first) * self._steps + count - 1
        return done, (last - first) * self._steps

    def _mode(self, phase: Phase) -> None:
        """Blocks in training mode are those being trained; finished ones use their statistics."""
        self.net.eval()
        for index in phase.blocks:
            for part in self.net.parts(index):
                part.train()
        self.net.rest()

    def _inputs(self, phase: Phase, cache: FeatureCache | None) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs of block ``phase.first`` and labels, one epoch."""
        options, split = self.options, self.splits["train"]
        if cache is not None:
            order = batch_indices(
                len(split), options.batch_size, seed=options.seed, epoch=self.progress.epoch,
                shuffle=True, drop_last=True,
            )  # fmt: skip
            for index in order:
                yield cache.take(index), split.labels[index.to(split.labels.device, non_blocking=True)]
            return
        for x, y in self._images():
            with torch.no_grad():
                x = self.net.run(x, 0, phase.first)
            yield (laid_out(x) if self.net.alone else x), y

    def _images(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs of the network and labels, one epoch."""
        options = self.options
        loader = batches(
            self.splits["train"], options.batch_size, normalize=self.inputs, seed=options.seed,
            epoch=self.progress.epoch, shuffle=True, augment=self.augment, drop_last=True,
            device=options.accelerator,
        )  # fmt: skip
        for x, y in loader:
            yield laid_out(x), y

    def _train_epoch(
        self, phase: Phase, net: Net, updater: WeightUpdater, cache: FeatureCache | None
    ) -> Epoch:
        started = time.perf_counter()
        self._mode(phase)
        total: Tensor | int = 0
        losses, done = Losses(), self.progress.epoch * self._steps
        for count, (x, y) in enumerate(self._inputs(phase, cache), start=1):
            updater.set_progress(*self._behind(count))
            # By the second step the optimizer has its state: a step like all that follow.
            watched = self.progress.epoch == 0 and count == min(2, self._steps)
            try:
                found = self._step(phase, net, updater, x, y, watched=watched and not self.options.compile)
            except SumTooLarge as error:
                raise self._diverged(LARGEST_SUM, phase.block, count) from error
            total = total + found[-1]
            self.session.log(self._weights)
            self.watcher.batch(done + count)
            if losses.add(found):
                break
        self._check(phase, losses)
        self.progress.training_seconds += time.perf_counter() - started
        self.progress.images += self._steps * self.options.batch_size
        self.progress.epoch += 1
        loss = self.numerics.mean_loss(self.net, float(total), self._steps, self.options.batch_size)
        return self.selection.validate(phase, loss, time.perf_counter() - started)

    def _step(
        self, phase: Phase, net: Net, updater: WeightUpdater, x: Tensor, y: Tensor, *, watched: bool
    ) -> Tensor:
        """One step, which gives the losses of all heads; a watched one counts what PyTorch holds."""
        if not watched:
            loss = self.regime.step(net, phase, x, y)
            updater.finish_step()
            return loss.view(-1)
        held = [*self.net.parameters(), *self.net.buffers(), *updater.tensors(), getattr(x, "mantissa", x), y]
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
        rate = self.numerics.rate(self.options, *self._behind(step))
        return Diverged(Divergence(what, block, self.progress.epoch + 1, step, rate))

    # ---------------------------------------------------------------- outcome

    @property
    def stored_bytes(self) -> int:
        """Bytes of all weights of the blocks as deployed, with what decodes them."""
        return self.numerics.stored_bytes(self.net)

    def _weights(self) -> list[Tensor]:
        """Bodies, then the heads that give a loss, but of integer regimes those whose turn is over."""
        regime = find(self.regime.name)
        gone = regime.is_integer and regime.one_by_one
        heads = sorted({index for phase in self.phases for index in phase.heads if not gone})
        modules = (*self.net.bodies, *(self.net.heads[index] for index in heads))
        return [weight for module in modules for weight in self.numerics.weights(module)]

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
            test_accuracy_one_by_one=progress.accuracy_one_by_one,
            phases=len(self.phases),
            steps=self._steps * self.options.epochs,
            last_epochs=self.options.last_epochs if len(self.phases) > 1 else None,
            places=self.session.places,
            images_per_second=progress.images / len(self.phases) / max(progress.training_seconds, 1e-9),
        )

    def _host(self) -> Host:
        options = self.options
        alike = not (options.compile or options.skip_heads)  # else the step that was watched tells little
        tensor_bytes = self.progress.tensor_bytes or None if alike else None
        return Host(tensor_bytes, self.progress.rss_bytes)
