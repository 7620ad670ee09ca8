"""Gradients of weights on integers, and the steps that they take."""

from typing import TYPE_CHECKING

import torch

from blockwise.integer.shares import Share
from blockwise.integer.tensor import Accumulator
from blockwise.integer.xorshift import Xorshift32
from devices.program.execute import Frame
from devices.program.integer import is_weight

if TYPE_CHECKING:
    from blockwise.integer.on_board.machine import IntegerMachine


def weight_sums(machine: "IntegerMachine", frame: Frame) -> None:
    """The gradient, into a buffer."""
    machine.put(frame, "sums", _gradient(machine, frame))


def largest_weight_sum(machine: "IntegerMachine", frame: Frame) -> None:
    """Only the largest is kept: what follows makes the gradient again."""
    _gradient(machine, frame)


def update_by_sums(machine: "IntegerMachine", frame: Frame) -> None:
    """The gradient is made, and moves the weights at once."""
    _move(machine, frame, _gradient(machine, frame))


def update(machine: "IntegerMachine", frame: Frame) -> None:
    """By the gradient that waited in a buffer."""
    name = frame.operation.operands[0][1].tensor  # type: ignore[union-attr]
    layer, place = machine.update_place(frame)
    share = Share.of(frame.schedule.layers[layer], place)
    shape = place.shape if share is None else share.place.shape
    _move(machine, frame, Accumulator(frame.raw("gradient").view(shape), machine.exponents[name]))


def jump(machine: "IntegerMachine", frame: Frame) -> None:
    """Behind the last of the batches that are waited for, by their sum, which begins anew."""
    if int(frame.raw("count")) < machine.every - 1:
        return
    update(machine, frame)
    frame.put("gradient", torch.zeros_like(frame.raw("gradient")))


def count_batch(machine: "IntegerMachine", frame: Frame) -> None:
    """One more is added up, or none yet of those to come."""
    frame.put("count", (frame.raw("count") + 1) % machine.every)


def begin(machine: "IntegerMachine", frame: Frame) -> None:
    """The head has its first weights; nothing is added up."""
    for name in frame.operation.writes:
        nothing = torch.zeros(frame.memory.tensors[name].shape, dtype=torch.int32)
        frame.store(name, machine.start[name] if is_weight(name) else nothing)


def end(machine: "IntegerMachine", frame: Frame) -> None:
    """What waits is forgotten."""


def _gradient(machine: "IntegerMachine", frame: Frame) -> Accumulator:
    error, x = machine.error(frame), machine.activation(frame, "saved input")
    place = machine.places[frame.operation.layer]
    share = Share.of(frame.layer, place)
    if share is not None:
        return share.weight_sums(machine.arithmetic, error, x)
    return machine.arithmetic.weight_sums(error, x, place)


def _move(machine: "IntegerMachine", frame: Frame, gradient: Accumulator) -> None:
    layer, place = machine.update_place(frame)
    role = "value" if frame.has("value") else "weight"
    stored, bits = frame.raw(role), frame.memory.tensors[f"{layer}.weight"].bits
    weights = machine.stored(stored, bits).view(place.shape)
    states = "state" if frame.has("state") else "generator"
    rng = Xorshift32.at(int(frame.raw(states))) if frame.has(states) else Xorshift32(0)
    share, arithmetic = Share.of(frame.schedule.layers[layer], place), machine.arithmetic
    if share is None:
        moved = arithmetic.updated(weights, gradient, place, machine.mu, rng)
    else:
        moved = share.updated(arithmetic, weights, gradient, machine.mu, rng)
    machine.put_integers(frame, f"{layer}.weight", moved)
    if frame.has(states):
        frame.put(states, torch.tensor([rng.word], dtype=torch.int32))
