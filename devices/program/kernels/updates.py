"""Gradients that meet, and the optimizer's step on one parameter.

SGD with weight decay, with Nesterov's momentum, and Adam (Kingma & Ba 2015, arXiv 1412.6980), as in
torch.optim; a size moves by shares of itself.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from devices.program.execute.frame import Frame

if TYPE_CHECKING:
    from devices.program.kernels.machine import FloatMachine


@dataclass(frozen=True)
class Pace:
    """How far a parameter goes: its learning rate, its decay, and whether it is a size."""

    rate: float
    decay: float = 0.0
    share: float | None = None  # of a size: the most that its gradient counts
    smallest: float = 0.0  # magnitude of a size


Paces = tuple[tuple[int, Pace], ...]
"""Of a tensor's parameters, one behind the other: how many values each has, and how far these go."""


@dataclass(frozen=True)
class Optimizer:
    """Of every parameter of a step; ``steps`` have been made before this one."""

    name: str  # as the command line names it
    steps: int
    momentum: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def step(
        self, value: Tensor, g: Tensor, states: list[Tensor], pace: Pace | Paces
    ) -> tuple[Tensor, list[Tensor]]:
        """The value and its states after a step by the gradient ``g``; all flat, float32."""
        if isinstance(pace, Pace):
            return self._step(value, g, states, pace)
        counts = [count for count, _ in pace]
        parts = zip(*(tensor.split(counts) for tensor in (value, g, *states)), strict=True)
        moved = [
            self._step(value, g, states, by) for (value, g, *states), (_, by) in zip(parts, pace, strict=True)
        ]
        return torch.cat([value for value, _ in moved]), [
            torch.cat(state) for state in zip(*(states for _, states in moved), strict=True)
        ]

    def _step(
        self, value: Tensor, g: Tensor, states: list[Tensor], pace: Pace
    ) -> tuple[Tensor, list[Tensor]]:
        if pace.share is None:
            return self._plain(value, g + pace.decay * value, states, pace.rate)
        floor = torch.tensor(pace.smallest)
        value = torch.where(value < 0, torch.minimum(value, -floor), torch.maximum(value, floor))
        share = (g / value + pace.decay).clamp(-pace.share, pace.share)
        moved, states = self._plain(torch.zeros_like(value), share, states, pace.rate)
        return value * moved.exp(), states

    def _plain(
        self, value: Tensor, g: Tensor, states: list[Tensor], rate: float
    ) -> tuple[Tensor, list[Tensor]]:
        if self.name == "sgd":
            return value - rate * g, []
        if self.name == "sgd-momentum":
            moment = self.momentum * states[0] + g if self.steps else g
            return value - rate * (g + self.momentum * moment), [moment]
        first, second = self.betas
        mean, square = torch.lerp(states[0], g, 1 - first), second * states[1] + (1 - second) * g * g
        count = self.steps + 1
        denominator = square.sqrt() / math.sqrt(1 - second**count) + self.eps
        return value - rate / (1 - first**count) * mean / denominator, [mean, square]


def update(machine: "FloatMachine", frame: Frame) -> None:
    """A parameter takes its step."""
    name, value = frame.operation.subject, frame.raw("value")
    states = frame.raws("state")
    value, states = machine.optimizer.step(value, frame.raw("gradient"), states, machine.pace(name))
    frame.store(name, machine.constrained(name, value))
    targets = [target for role, target in frame.operation.results if role == "state"]
    for target, state in zip(targets, states, strict=True):
        frame.store(target, state)


def zero(machine: "FloatMachine", frame: Frame) -> None:
    """Gradients to which every micro-batch adds."""
    for name in frame.operation.writes:
        frame.store(name, torch.zeros(frame.memory.tensors[name].shape))


def copy_gradient(machine: "FloatMachine", frame: Frame) -> None:
    """Another layer still needs it as it is; also where two of them are added."""
    frame.put("gradient", frame.raw("gradient"))


def keep(machine: "FloatMachine", frame: Frame) -> None:
    """What the next block reads by, before it changes."""
    copy = frame.result("copy")
    count = frame.memory.tensors[copy].elements
    frame.store(copy, machine.as_read(frame.operation.subject, frame.raw("value"), count))
