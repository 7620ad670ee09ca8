"""Zeroth order: a parameter goes along a random direction and back, and steps by differences of losses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from devices.program.execute.frame import Frame
from devices.program.kernels.updates import Optimizer

if TYPE_CHECKING:
    from devices.program.kernels.machine import FloatMachine

PLAIN = Optimizer("sgd", 0)
"""No state: the step of a parameter is its rate times what is estimated."""


@dataclass(frozen=True)
class Directions:
    """``draw`` gives the direction of a tensor (its name, which of the step's): -1 and 1, flat, float32.

    A step has ``count``; ``numbers`` are those by which tensors draw theirs.
    """

    eps: float
    draw: Callable[[str, int], Tensor]
    count: int
    numbers: Mapping[str, int]


def forth(machine: "FloatMachine", frame: Frame) -> None:
    """w + e z."""
    _move(machine, frame, 1)


def back(machine: "FloatMachine", frame: Frame) -> None:
    """From w + e z to w - e z."""
    _move(machine, frame, -2)


def restore(machine: "FloatMachine", frame: Frame) -> None:
    """From w - e z to w."""
    _move(machine, frame, 1)


def _move(machine: "FloatMachine", frame: Frame, by: int) -> None:
    name, directions = frame.operation.subject, machine.directions
    assert directions is not None
    z = directions.draw(name, frame.operation.draw)
    frame.put("value", torch.add(frame.raw("value"), z, alpha=by * directions.eps))


def update(machine: "FloatMachine", frame: Frame) -> None:
    """w - rate (g + decay w), g the mean over directions of (difference of mean losses) / 2 e times z."""
    name, value, directions = frame.operation.subject, frame.raw("value"), machine.directions
    assert directions is not None
    differences = frame.raw("differences")
    projected = differences / (2 * directions.eps * machine.images * len(differences))
    g = torch.zeros_like(value)
    for index, by in enumerate(projected):
        g = g + by * directions.draw(name, index)
    value, _ = PLAIN.step(value, g, [], machine.pace(name))
    frame.put("value", machine.constrained(name, value))


def tell(machine: "FloatMachine", frame: Frame, losses: Tensor) -> None:
    """Add the sum of losses to the difference of the pass's direction, or take it off."""
    for role, sign in (("loss plus", 1), ("loss minus", -1)):
        if frame.makes(role):
            found = torch.zeros(frame.memory.tensors[frame.result(role)].shape)
            found[frame.operation.draw] = sign * losses.sum()
            frame.put(role, found)
