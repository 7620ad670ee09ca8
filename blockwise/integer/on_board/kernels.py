"""What each operation of an integer step computes, but for gradients of weights."""

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Size, Tensor

from blockwise.integer.arithmetic import Error, Place
from blockwise.integer.images import from_pixels
from blockwise.integer.layers import window_of
from blockwise.integer.nitro import relu, scaled
from blockwise.integer.on_board import zeroth_order
from blockwise.integer.pointwise import relu_gradient
from blockwise.integer.pool import avg_pool_gradient, max_pool, max_pool_gradient, wide_avg_pool
from blockwise.integer.rounding import (
    Rounding,
    half_up,
    largest_magnitude,
    largest_value,
    nearest,
    requantize,
)
from blockwise.integer.tensor import INT8, Accumulator, Format, IntTensor
from devices.network.ops import AvgPool, MaxPool, ReLU, View
from devices.program.execute import Frame
from devices.program.kernels import pools
from devices.program.operation import tensors_of

if TYPE_CHECKING:
    from blockwise.integer.on_board.machine import IntegerMachine

RANGES = (-1, 0, 127)
"""Of what stands before NITRO-D's activation: below 0, within, and at the limit; one of each."""


def load(machine: "IntegerMachine", frame: Frame) -> None:
    """Images and labels as bytes; pixels become mantissas."""
    machine.put(frame, "images", from_pixels(machine.batch[0]))
    frame.put("labels", machine.batch[1])


# ---------------------------------------------------------------- forward


def sums(machine: "IntegerMachine", frame: Frame) -> None:
    """Sums of 32 bits that wait in a buffer until the largest is known."""
    _put_sums(machine, frame, "output", _sums(machine, frame, frame.operation.layer))


def _put_sums(machine: "IntegerMachine", frame: Frame, role: str, found: Accumulator) -> None:
    """Sums into their buffer, the first of them where their codes will lie."""
    flat = found.mantissa.contiguous().flatten()
    if frame.makes("front"):
        count = len(frame.memory.words(frame.result("front")))
        frame.put_words("front", flat[:count])
        flat = flat[count:]
    machine.put(frame, role, Accumulator(flat, found.exponent))


def _waiting(machine: "IntegerMachine", frame: Frame, role: str, shape: tuple[int, ...]) -> Accumulator:
    """Sums from their buffer, of all images."""
    (source,) = tensors_of(frame.operand(role))
    parts = [frame.words("front")] if frame.has("front") else []
    flat = torch.cat([*parts, frame.memory.load(source).flatten()])
    return Accumulator(flat.view(-1, *shape), machine.exponents[source])


def largest_sum(machine: "IntegerMachine", frame: Frame) -> None:
    """Only the largest is kept: with a sign and without."""
    _note(machine, frame.operation.layer, _sums(machine, frame, frame.operation.layer).mantissa)


def requantize_forward(machine: "IntegerMachine", frame: Frame) -> None:
    """Sums to few bits, as the activation or the logits want them; sums are in a buffer or made again."""
    layer, maker = frame.layer, _maker(frame)
    if frame.has("weight"):
        found = _sums(machine, frame, maker)
    else:
        found = _waiting(machine, frame, "input", frame.schedule.layers[maker].shape)
        _note(machine, maker, found.mantissa)
    if machine.scaled:
        _scaled(machine, frame, found, machine.places[maker])
        return
    bits = frame.memory.tensors[frame.result("output")].bits
    if not isinstance(layer.op, ReLU):
        machine.put(frame, "output", _shifted(machine, maker, found, INT8))
        return
    format = machine.output_format(layer, bits)
    machine.put(frame, "output", _shifted(machine, maker, found, format.behind_relu, half_up))
    if frame.makes("mask"):
        frame.put("mask", (found.mantissa > 0).long())


def _maker(frame: Frame) -> str:
    """The layer whose sums the operation's layer requantizes, behind views."""
    layers, name = frame.schedule.layers, frame.layer.inputs[0]
    while isinstance(layers[name].op, View):
        name = layers[name].inputs[0]
    return name


def _scaled(machine: "IntegerMachine", frame: Frame, found: Accumulator, place: Place) -> None:
    before = scaled(found, place)
    if not isinstance(frame.layer.op, ReLU):
        machine.put(frame, "output", IntTensor(before, 0))
        return
    machine.put(frame, "output", IntTensor(relu(before), 0))
    if frame.makes("mask"):
        frame.put("mask", (before >= 0).long() + (before == RANGES[2]).long())


def _sums(machine: "IntegerMachine", frame: Frame, layer: str) -> Accumulator:
    x, weights = machine.activation(frame, "input"), machine.weights(frame, layer)
    return machine.arithmetic.sums(x, weights, machine.places[layer])


def _note(machine: "IntegerMachine", what: str, values: Tensor) -> None:
    machine.largest[what], machine.largest[f"|{what}|"] = largest_value(values), largest_magnitude(values)


def _shifted(
    machine: "IntegerMachine", what: str, x: Accumulator, to: Format, rounding: Rounding = nearest
) -> IntTensor:
    """Requantized by the largest that was noted before."""
    largest = machine.largest[what if to.low == 0 else f"|{what}|"]
    return requantize(x, to, rounding, largest)


def max_pool_forward(machine: "IntegerMachine", frame: Frame) -> None:
    """The largest of four, and its place."""
    out, which = max_pool(machine.activation(frame, "input"), _largest_of(frame))
    machine.put(frame, "output", out)
    if frame.makes("argmax"):
        frame.put("argmax", which.long())


def avg_pool_forward(machine: "IntegerMachine", frame: Frame) -> None:
    """Means as int8."""
    x = machine.activation(frame, "input")
    machine.put(frame, "output", wide_avg_pool(x, _mean_over(frame, x.shape)))


def _largest_of(frame: Frame) -> tuple[int, ...]:
    """The windows of a max pool."""
    op = frame.layer.op
    assert isinstance(op, MaxPool)
    return op.kernel


def _mean_over(frame: Frame, shape: Size | tuple[int, ...]) -> tuple[int, ...]:
    """The windows of an average pool of a map (B, C, ...)."""
    op = frame.layer.op
    return op.kernel if isinstance(op, AvgPool) else window_of(shape, frame.layer.shape[1:])


def loss(machine: "IntegerMachine", frame: Frame) -> None:
    """The error of the logits overwrites them; the sum of losses goes where a program wants it."""
    labels = frame.values("input")[1]
    found = machine.arithmetic.loss(machine.activation(frame, "input"), labels.long())
    zeroth_order.tell(machine, frame, found.total)
    if frame.makes("output"):
        machine.put(frame, "output", found.error)


# --------------------------------------------------------------- backward


def loss_backward(machine: "IntegerMachine", frame: Frame) -> None:
    """It is there already."""
    name, target = frame.operation.operands[0][1], frame.result("input gradient")
    exponent = machine.exponents[name.tensor]  # type: ignore[union-attr]
    frame.store(target, frame.raw("saved output"))
    machine.exponents[target] = exponent


def pass_back(machine: "IntegerMachine", frame: Frame) -> None:
    """The error of requantized sums is that of the sums; NITRO-D divides what means took off before."""
    found = machine.arithmetic.activated(machine.error(frame), None, machine.places[_maker(frame)])
    machine.put(frame, "input gradient", replace(found, mantissa=pools.as_held(frame, found.mantissa)))


def relu_backward(machine: "IntegerMachine", frame: Frame) -> None:
    """The error where the sums were positive; in NITRO-D by the slope of each range."""
    error, mask = machine.error(frame), frame.raw("saved mask")
    mask = mask.view(error.mantissa.shape)
    found: Error
    if machine.scaled:
        before = torch.tensor(RANGES, dtype=torch.int8)[mask]
        found = machine.arithmetic.activated(error, before, machine.places[_maker(frame)])
    else:
        found = relu_gradient(error, mask.bool())
    machine.put(frame, "input gradient", replace(found, mantissa=pools.as_held(frame, found.mantissa)))


def max_pool_backward(machine: "IntegerMachine", frame: Frame) -> None:
    """To the largest."""
    shape = frame.memory.tensors[frame.result("input gradient")].shape
    which = frame.raw("saved argmax").to(torch.uint8)
    error, window = machine.error(frame), _largest_of(frame)
    machine.put(frame, "input gradient", max_pool_gradient(error, which, shape, window))


def avg_pool_backward(machine: "IntegerMachine", frame: Frame) -> None:
    """To all of the window."""
    shape = frame.memory.tensors[frame.result("input gradient")].shape
    error, window = machine.error(frame), _mean_over(frame, shape)
    machine.put(frame, "input gradient", avg_pool_gradient(error, window, shape))


def input_error(machine: "IntegerMachine", frame: Frame) -> None:
    """Sums into a buffer; or, their largest being known, requantized at once; NITRO-D's as they are."""
    found = _input_sums(machine, frame)
    if frame.makes("sums"):
        _put_sums(machine, frame, "sums", found)
        _note(machine, frame.result("sums"), found.mantissa)
    elif machine.scaled:
        machine.put(frame, "input gradient", found)
    else:
        machine.put(frame, "input gradient", _shifted(machine, _before(frame), found, INT8))


def largest_input_error(machine: "IntegerMachine", frame: Frame) -> None:
    """Only the largest is kept."""
    _note(machine, _before(frame), _input_sums(machine, frame).mantissa)


def requantize_error(machine: "IntegerMachine", frame: Frame) -> None:
    """To int8, by the largest."""
    (source,) = tensors_of(frame.operand("sums"))
    found = _waiting(machine, frame, "sums", _input_shape(frame))
    machine.put(frame, "input gradient", _shifted(machine, source, found, INT8))


def _before(frame: Frame) -> str:
    return f"{frame.operation.layer} error"


def _input_sums(machine: "IntegerMachine", frame: Frame) -> Accumulator:
    layer = frame.operation.layer
    weights, shape = machine.weights(frame, layer), Size((len(machine.batch[1]), *_input_shape(frame)))
    return machine.arithmetic.input_sums(machine.error(frame), weights, machine.places[layer], shape)


def _input_shape(frame: Frame) -> tuple[int, ...]:
    return frame.schedule.layers[frame.layer.inputs[0]].shape
