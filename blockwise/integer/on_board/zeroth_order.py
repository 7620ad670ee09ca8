"""Weights that go along random directions, and step by the signs of differences of losses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from blockwise.integer import zeroth_order as integers
from blockwise.integer.shares import Share, trained, with_trained
from devices.program.execute import Frame

if TYPE_CHECKING:
    from blockwise.integer.on_board.machine import IntegerMachine


@dataclass(frozen=True)
class Drawn:
    """``draw`` gives the direction of a layer (its name, which of the step's): int8, shaped as weights."""

    draw: Callable[[str, int], Tensor]
    largest: int
    mu: int


def zero(machine: "IntegerMachine", frame: Frame) -> None:
    """Differences to which every pass adds."""
    for name in frame.operation.writes:
        frame.store(name, torch.zeros(frame.memory.tensors[name].shape, dtype=torch.int32))


def forth(machine: "IntegerMachine", frame: Frame) -> None:
    """W + z."""
    weights, z = _found(machine, frame)
    assert machine.drawn is not None
    _put(machine, frame, integers.forth(weights, z, machine.drawn.largest))


def back(machine: "IntegerMachine", frame: Frame) -> None:
    """From W + z to W - z."""
    _put(machine, frame, integers.back(*_found(machine, frame)))


def restore(machine: "IntegerMachine", frame: Frame) -> None:
    """From W - z to W."""
    _put(machine, frame, integers.restored(*_found(machine, frame)))


def update(machine: "IntegerMachine", frame: Frame) -> None:
    """By the sign of the difference of each direction."""
    drawn, (layer, _) = machine.drawn, machine.update_place(frame)
    assert drawn is not None
    steps = [
        integers.step_of(drawn.draw(layer, index), int(difference), drawn.largest, drawn.mu)
        for index, difference in enumerate(frame.raw("differences"))
    ]
    weights, _ = _found(machine, frame)
    _put(machine, frame, integers.updated(weights, steps, drawn.largest))


def tell(machine: "IntegerMachine", frame: Frame, total: Tensor) -> None:
    """Add the sum of losses to the difference of the pass's direction, or take it off."""
    for role, sign in (("loss plus", 1), ("loss minus", -1)):
        if frame.makes(role):
            found = torch.zeros(frame.memory.tensors[frame.result(role)].shape, dtype=torch.int32)
            found[frame.operation.draw] = sign * int(total)
            frame.put(role, found)


def _found(machine: "IntegerMachine", frame: Frame) -> tuple[Tensor, Tensor]:
    """The weights that are trained, and their direction."""
    layer, _ = machine.update_place(frame)
    assert machine.drawn is not None
    weights, share = _whole(machine, frame)
    return trained(share, weights), machine.drawn.draw(layer, frame.operation.draw)


def _whole(machine: "IntegerMachine", frame: Frame) -> tuple[Tensor, Share | None]:
    """All weights of the layer, and what of them is trained."""
    layer, place = machine.update_place(frame)
    bits = frame.memory.tensors[frame.operation.subject].bits
    weights = machine.stored(frame.raw("value"), bits).view(place.shape)
    return weights, Share.of(frame.schedule.layers[layer], place)


def _put(machine: "IntegerMachine", frame: Frame, moved: Tensor) -> None:
    weights, share = _whole(machine, frame)
    machine.put_integers(frame, frame.result("value"), with_trained(share, weights, moved))
