"""An integer regime's training as a reference: the simulation's steps, its state as it lies on the board."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
from blockwise.training.phase import Procedure
from devices.program.schedule import Tensor as Planned


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
        yield Exchange(start, state, step=False)
        self.net.train()
        (phase,) = self.procedure.phases(self.net)
        updater = self._updater()
        for done, (images, labels) in zip(range(steps), self.batches, strict=False):
            updater.set_progress(done, steps)
            sent = records.step(self.firmware, updater.mu, images, labels)
            self.procedure.step(self.net, phase, images, labels)
            updater.finish_step()
            yield Exchange(sent, self._state())
        if self.singles is not None:
            yield from self._predictions(self.singles)

    def _updater(self) -> IntegerUpdater:
        facts, found = self.firmware.facts, self.firmware.facts.directions
        if found is None:
            return IntegerUpdater(self.net, NITI_SCHEDULE.starting_at(facts.mu))
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
