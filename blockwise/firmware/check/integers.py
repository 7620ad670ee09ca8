"""An integer regime's training as a reference: the simulation's steps, its state as it lies on the board."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from torch import Tensor

from blockwise.firmware.check import records
from blockwise.firmware.check.reference import Exchange, class_of
from blockwise.firmware.integer_facts import state_of
from blockwise.firmware.layout import to_board
from blockwise.firmware.program import Firmware
from blockwise.integer.net import IntegerNet
from blockwise.integer.update import NITI_SCHEDULE
from blockwise.training.integer import IntegerUpdater
from blockwise.training.integer_zeroth_order import IntegerDirectionUpdater
from blockwise.training.phase import Phase, Procedure
from devices.program.schedule import Tensor as Planned

Batches = Iterator[tuple[Tensor, Tensor]]


@dataclass(eq=False)
class IntegerTraining:
    """``net`` is trained by ``procedure`` on ``batches`` of uint8 images (B, C, H, W) and labels (B,).

    It starts from what the firmware starts from: given weights, or those of its seed. The learning rate
    goes through its whole schedule within the steps that are asked for.
    """

    firmware: Firmware
    net: IntegerNet
    procedure: Procedure[IntegerNet]
    batches: Iterable[tuple[Tensor, Tensor]]
    singles: Tensor | None = None  # uint8 images, each of which is predicted by itself in the end

    @property
    def tensors(self) -> tuple[Planned, ...]:
        """Weights and generators."""
        return self.firmware.resident

    def exchanges(self, steps: int) -> Iterator[Exchange]:
        """The start, and so many steps or as many as there are batches. The network is trained by it."""
        state = self._state()
        given = self.firmware.given is not None
        start = records.state(b"".join(state)) if given else records.start(self.firmware.seed)
        yield Exchange(start, state, step=False, unknown=self._shared())
        batches, phases = iter(self.batches), self.procedure.phases(self.net)
        for number, phase in enumerate(phases):
            count = steps // len(phases) + (number < steps % len(phases))
            yield from self._phase(number, phase, islice(batches, count), count)
        if self.singles is not None:
            yield from self._predictions(self.singles)

    def _phase(self, number: int, phase: Phase, batches: Batches, steps: int) -> Iterator[Exchange]:
        """Begun and ended where it is one of several."""
        updater, several = self._updater(), self.firmware.one_by_one
        if several:
            yield Exchange(records.begin(number), None, step=False)
        for done, (images, labels) in enumerate(batches):
            updater.set_progress(done, steps)
            sent = records.step(self.firmware, updater.mu, images, labels)
            self._step(phase, images, labels)
            updater.finish_step()
            yield Exchange(sent, self._state(), unknown=self._shared(number))
        if several:
            yield Exchange(records.end(), self._state(), step=False, unknown=self._shared())
        updater.close()

    def _step(self, phase: Phase, images: Tensor, labels: Tensor) -> None:
        """Behind the finished blocks, which are at rest."""
        self.net.eval()
        x = self.net.run(images, 0, phase.first)
        self.net.train()
        self.procedure.step(self.net, phase, x, labels)

    def _shared(self, phase: int | None = None) -> frozenset[str]:
        """What other phases than the one under way have to themselves: other tensors lie there."""
        own = () if phase is None else self.firmware.phases[phase].begin
        begun = {name for index in own for name in self.firmware.schedule.operations[index].writes}
        return frozenset(t.name for t in self.tensors if not t.resident and t.name not in begun)

    def _updater(self) -> IntegerUpdater:
        facts, found = self.firmware.facts, self.firmware.facts.directions
        if found is None:
            schedule = NITI_SCHEDULE.starting_at(facts.mu)
            return IntegerUpdater(self.net, schedule, jump_every=facts.jump_every)
        pure = found.front == len(self.net)
        schedule = NITI_SCHEDULE if pure else NITI_SCHEDULE.starting_at(facts.mu)
        return IntegerDirectionUpdater(self.net, schedule, found.front, self.firmware.seed, found.told)

    def _predictions(self, images: Tensor) -> Iterator[Exchange]:
        for number, (image, found) in enumerate(zip(images, self.net.each(images).argmax(1), strict=True)):
            answer = (struct.pack("<I", int(found)),)
            yield Exchange(records.predict(image), answer, step=False, tensors=class_of(number))

    def _state(self) -> tuple[bytes, ...]:
        start = state_of(self.net, self.firmware.network, self.firmware.schedule)
        return tuple(to_board(self.firmware, tensor, start[tensor.name]) for tensor in self.tensors)
