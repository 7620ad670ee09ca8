"""Regimes on integers alone, globally and block by block, whatever the arithmetic.

Each layer's weights take their step on the way back, so that no gradient outlives its layer.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from blockwise.integer.net import IntegerNet
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
            if index not in phase.heads:
                continue
            head = net.head(index)
            found = head.score(h, y)
            error = head.classify.backward(found.error, net.mu, to_input=True)
            assert error is not None
            net.body(index).backward(error, net.mu, to_input=False)
            total = found.total
        return total


class IntegerUpdater:
    """Sets the learning rate in bits; the layers step themselves. Stands where float regimes have theirs."""

    def __init__(self, net: IntegerNet, schedule: BitSchedule = NITI_SCHEDULE) -> None:
        self.net, self.schedule = net, schedule

    @property
    def mu(self) -> int:
        """What a board is told: the learning rate of the step to come."""
        return self.net.mu

    def set_progress(self, done: int, total: int) -> None:
        """``done`` of ``total`` steps are behind the next one."""
        self.net.mu = self.schedule.at(done, total)

    def finish_step(self) -> None:
        """Nothing waits."""

    def forget_resized(self) -> None:
        """No state."""

    def close(self) -> None:
        """No hooks."""

    def tensors(self) -> list[Tensor]:
        """No optimizer state."""
        return []

    def state_dict(self) -> list[dict[str, object]]:
        """No state: the schedule follows from the step."""
        return []

    def load_state_dict(self, states: list[dict[str, object]]) -> None:
        """Nothing to restore."""
