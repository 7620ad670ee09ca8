"""Regimes on integers alone, globally and block by block, whatever the arithmetic.

Each layer's weights take their step on the way back, so that no gradient outlives its layer.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from blockwise.integer.jumps import Jumps, Waiting
from blockwise.integer.layers import Weighted, weighted
from blockwise.integer.net import IntegerNet
from blockwise.integer.tensor import IntTensor
from blockwise.integer.update import NITI_SCHEDULE, BitSchedule
from blockwise.training.phase import Phase, whole


@dataclass(frozen=True)
class IntegerBackpropagation:
    """One loss at the end; its error passes through all blocks."""

    name: str

    def phases(self, net: IntegerNet) -> tuple[Phase, ...]:
        """All blocks, under the last head's loss: what passes between blocks is kept nowhere."""
        return whole(net, heads=(len(net) - 1,))

    def step(self, net: IntegerNet, phase: Phase, x: Tensor, y: Tensor) -> Tensor:
        """Forward, back, weights stepped on the way; returns the sum of the images' losses, int64."""
        first, last = net.learning[0], len(net) - 1
        found = net.head(last).score(net.run(x, 0, len(net)), y)
        error = net.head(last).classify.backward(found.error, net.mu, to_input=True)
        for index in reversed(range(first, len(net))):
            assert error is not None
            error = net.body(index).backward(error, net.mu, to_input=index > first)
        return found.total


@dataclass(frozen=True)
class IntegerLocalLearning:
    """Blocks in turn within each batch, each under its own head; nothing crosses a block going back."""

    name: str

    def phases(self, net: IntegerNet) -> tuple[Phase, ...]:
        """All blocks to the last that learns; each that does under its own head."""
        return (Phase("", 0, net.learning[-1] + 1, net.learning),)

    def step(self, net: IntegerNet, phase: Phase, x: Tensor, y: Tensor) -> Tensor:
        """One step of every block that learns; returns the last head's sum of losses, int64."""
        total = torch.zeros((), dtype=torch.int64)
        h = x
        for index in phase.blocks:
            h = net.body(index)(h)
            if index in phase.heads:
                total = _step_of_block(net, index, h, y)
        return total


@dataclass(frozen=True)
class IntegerResidentLearning:
    """As block by block, but the blocks before are finished: one is trained at a time, to its end."""

    name: str

    def phases(self, net: IntegerNet) -> tuple[Phase, ...]:
        """One for each block that learns."""
        return tuple(Phase(net.names[i], i, i + 1, (i,)) for i in net.learning)

    def step(self, net: IntegerNet, phase: Phase, x: Any, y: Tensor) -> Tensor:
        """One step of the phase's block; returns its head's sum of losses, int64."""
        return _step_of_block(net, phase.first, net.body(phase.first)(x), y)


def _step_of_block(net: IntegerNet, index: int, h: IntTensor, y: Tensor) -> Tensor:
    """From the output of block ``index`` through its head, and back through both; the sum of losses."""
    head = net.head(index)
    found = head.score(h, y)
    error = head.classify.backward(found.error, net.mu, to_input=True)
    assert error is not None
    net.body(index).backward(error, net.mu, to_input=False)
    return found.total


class IntegerUpdater:
    """Sets the learning rate in bits; the layers step themselves. Stands where float regimes have theirs.

    States of weights jump behind every ``jump_every`` batches; until then their gradients are added up. What
    waits at the end of a training, or of a phase, is forgotten.
    """

    def __init__(
        self, net: IntegerNet, schedule: BitSchedule = NITI_SCHEDULE, *, jump_every: int = 1
    ) -> None:
        self.net, self.schedule = net, schedule
        self.jumps = net.jumps = Jumps(jump_every) if jump_every > 1 else None
        self._waiting: list[tuple[Weighted, Waiting]] = []
        for layer in weighted(net):
            if self.jumps and layer.trained and layer.arithmetic.jumps(layer.place):
                layer.waiting = Waiting(self.jumps)
                self._waiting.append((layer, layer.waiting))

    @property
    def mu(self) -> int:
        """What a board is told: the learning rate of the step to come."""
        return self.net.mu

    def set_progress(self, done: int, total: int) -> None:
        """``done`` of ``total`` steps are behind the next one."""
        self.net.mu = self.schedule.at(done, total)

    def finish_step(self) -> None:
        """What waits has waited for one batch more."""
        if self.jumps is not None:
            self.jumps.count()

    def forget_resized(self) -> None:
        """No weight changes its size."""

    def close(self) -> None:
        """Nothing waits any more."""
        self.net.jumps = None
        for layer in weighted(self.net):
            layer.waiting = None

    def tensors(self) -> list[Tensor]:
        """What waits."""
        return [waiting.sums for _, waiting in self._waiting if waiting.sums is not None]

    def state_dict(self) -> list[dict[str, Any]]:
        """What waits, and how many batches have; the schedule follows from the step."""
        if self.jumps is None:
            return []
        return [{"waiting": self.jumps.waiting, "sums": [waiting.sums for _, waiting in self._waiting]}]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Restore what :meth:`state_dict` gave, wherever it lies, beside the weights."""
        if self.jumps is None:
            return
        (state,) = states
        self.jumps.waiting = state["waiting"]
        for (layer, waiting), sums in zip(self._waiting, state["sums"], strict=True):
            waiting.sums = None if sums is None else sums.to(layer.weight.device)
