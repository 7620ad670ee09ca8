"""``niti-zo`` and ``niti-zo-hybrid``: zeroth order on integers alone (blockwise/integer/zeroth_order.py)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from blockwise.integer import directions as drawn
from blockwise.integer import zeroth_order as integers
from blockwise.integer.layers import Weighted, weighted
from blockwise.integer.net import IntegerNet
from blockwise.integer.shares import trained, with_trained
from blockwise.integer.update import BitSchedule
from blockwise.training.integer import IntegerUpdater
from blockwise.training.options import Perturbation
from blockwise.training.phase import Phase, whole


class IntegerDirections:
    """The layers of a network's front, and the losses of a step. ``mu`` is that of the step to come."""

    def __init__(self, net: IntegerNet, front: int, seed: int, told: Perturbation) -> None:
        self.front, self.seed, self.count, self.largest = front, seed, told.directions, told.range
        self.mu, self.steps = told.mu, 0
        inside = len(weighted(net.bodies[:front]))
        perturbed = enumerate(weighted(net.bodies)[:inside])
        self.layers: dict[int, Weighted] = {number: x for number, x in perturbed if x.trained}
        self.differences: list[int] = []

    def draw(self, number: int, index: int, steps: int) -> Tensor:
        """Direction ``index`` of the step behind ``steps`` others, of what layer ``number`` trains: int8."""
        layer = self.layers[number]
        rng = drawn.generator(self.seed, number, steps * self.count + index)
        moved = trained(layer.share, layer.weight)
        found = drawn.whole_numbers(rng, moved.numel(), self.largest)
        return found.view(moved.shape).to(layer.weight.device)

    def forth(self, index: int) -> None:
        """To W + z."""
        self._move(index, lambda weights, z: integers.forth(weights, z, self.largest))

    def back(self, index: int) -> None:
        """From there to W - z."""
        self._move(index, integers.back)

    def restore(self, index: int) -> None:
        """From there to W."""
        self._move(index, integers.restored)

    def _move(self, index: int, by: Callable[[Tensor, Tensor], Tensor]) -> None:
        for number, layer in self.layers.items():
            moved = by(trained(layer.share, layer.weight), self.draw(number, index, self.steps))
            layer.weight.copy_(with_trained(layer.share, layer.weight, moved))

    def step(self) -> None:
        """Each layer along all directions of the step."""
        for number, layer in self.layers.items():
            steps = [
                integers.step_of(self.draw(number, index, self.steps), difference, self.largest, self.mu)
                for index, difference in enumerate(self.differences)
            ]
            moved = integers.updated(trained(layer.share, layer.weight), steps, self.largest)
            layer.weight.copy_(with_trained(layer.share, layer.weight, moved))
        self.steps += 1
        self.differences.clear()


class IntegerDirectionUpdater(IntegerUpdater):
    """Steps the front along its directions; the layers behind it step themselves.

    While it is there ``net.directions`` are those of the step under way.
    """

    def __init__(
        self, net: IntegerNet, schedule: BitSchedule, front: int, seed: int, told: Perturbation
    ) -> None:
        super().__init__(net, schedule)
        self.directions = net.directions = IntegerDirections(net, front, seed, told)
        self._first = told.mu

    @property
    def mu(self) -> int:
        """What a board is told: that of the layers behind the front, of directions where there are none."""
        return self.net.mu if self.directions.front < len(self.net) else self.directions.mu

    def set_progress(self, done: int, total: int) -> None:
        """Both rates fall alike."""
        super().set_progress(done, total)
        self.directions.mu = self._first - (self.schedule.at(0, 1) - self.schedule.at(done, total))

    def finish_step(self) -> None:
        """By the signs of the differences of losses."""
        self.directions.step()

    def close(self) -> None:
        """No step is under way."""
        super().close()
        self.net.directions = None

    def state_dict(self) -> list[dict[str, Any]]:
        """How many steps are made, which decides what is drawn next."""
        return [{"steps": self.directions.steps}]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Restore what :meth:`state_dict` gave."""
        (state,) = states
        self.directions.steps = int(state["steps"])


@dataclass(frozen=True)
class IntegerZerothOrder:
    """Two passes for each direction; of a hybrid the last goes back through the blocks behind the front."""

    name: str

    def phases(self, net: IntegerNet) -> tuple[Phase, ...]:
        """All blocks, under the last head's loss."""
        return whole(net, heads=(len(net) - 1,))

    def step(self, net: IntegerNet, phase: Phase, x: Tensor, y: Tensor) -> Tensor:
        """The losses of every direction on either side; returns their mean sum over the images, int64."""
        directions, total = net.directions, torch.zeros((), dtype=torch.int64)
        assert isinstance(directions, IntegerDirections)
        if not directions.layers:  # all blocks are trained by backpropagation
            return self._loss(net, x, y, back_to=0)
        for index in range(directions.count):
            directions.forth(index)
            plus = self._loss(net, x, y)
            directions.back(index)
            last = index == directions.count - 1
            minus = self._loss(net, x, y, back_to=directions.front if last else len(net))
            directions.restore(index)
            directions.differences.append(int(plus) - int(minus))
            total = total + plus + minus
        return total // (2 * directions.count)

    def _loss(self, net: IntegerNet, x: Tensor, y: Tensor, *, back_to: int | None = None) -> Tensor:
        """The sum of losses of one pass, whose error goes back through the blocks from ``back_to`` on."""
        front, last = len(net) if back_to is None else back_to, len(net) - 1
        if net.directions.front > last:  # a board passes image by image
            return net.head(last).score_each(net.run_each(x), y).total
        for index in range(len(net)):
            net.body(index).train(index >= front)  # what only passes keeps nothing
        found = net.head(last).score(net.run(x, 0, len(net)), y)
        if front > last:
            return found.total
        error = net.head(last).classify.backward(found.error, net.mu, to_input=True)
        for index in reversed(range(front, len(net))):
            assert error is not None
            error = net.body(index).backward(error, net.mu, to_input=index > front)
        return found.total
