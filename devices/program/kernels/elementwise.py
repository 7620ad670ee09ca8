"""Layers without state that are linear in their input: means, sums, shortcuts, views; and their gradients."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from devices.network import Layer
from devices.network.ops import (
    Add,
    Cat,
    ChannelDropout,
    Dropout,
    Expand,
    MatMul,
    Mul,
    Pad,
    Permute,
    Scale,
    Shortcut,
    Slice,
)
from devices.program.execute.frame import Frame
from devices.program.kernels import dropout, pools
from devices.program.kernels.pullback import pulled

if TYPE_CHECKING:
    from devices.program.kernels.machine import FloatMachine

ROLES = ("input gradient", "input gradient 1")
"""Of the gradients of two inputs."""


def forward(machine: "FloatMachine", frame: Frame) -> None:
    """Of a layer that has to be stored."""
    frame.put("output", computed(frame.layer, frame.values("input")))


def backward(machine: "FloatMachine", frame: Frame) -> None:
    """The gradient of the only input."""
    shape = frame.memory.tensors[frame.result("input gradient")].shape
    found = pulled(lambda x: computed(frame.layer, [x]), shape, frame.value("gradient"))
    pools.put_gradient(frame, found)


def pad_forward(machine: "FloatMachine", frame: Frame) -> None:
    """Of a border that has to be stored; codes have a border of codes."""
    op = frame.layer.op
    assert isinstance(op, Pad)
    stored = frame.raws("input")
    if not stored:
        frame.put("output", computed(frame.layer, frame.values("input")))
    elif op.mode == "constant":
        frame.put("output", F.pad(stored[0], op.amounts, value=dropout.zero(machine, frame)))
    else:
        frame.put("output", F.pad(stored[0].float(), op.amounts, op.mode).to(stored[0].dtype))


def mul_backward(machine: "FloatMachine", frame: Frame) -> None:
    """Of each factor: the gradient times the other, summed where one value stands for many."""
    factors = frame.values("saved input")
    g = frame.value("gradient").view(len(factors[0]), *frame.layer.shape)
    for role, mine, other in zip(ROLES, factors, reversed(factors), strict=True):
        if frame.makes(role):
            frame.put(role, (g * other).sum_to_size(mine.shape))


def matmul_backward(machine: "FloatMachine", frame: Frame) -> None:
    """Of each factor: the gradient times the other, turned."""
    op, (left, right) = frame.layer.op, frame.values("saved input")
    assert isinstance(op, MatMul)
    g = frame.value("gradient").view(len(left), *frame.layer.shape) * op.factor
    for role, first, second in zip(ROLES, (g, left.mT), (right.mT, g), strict=True):
        if frame.makes(role):
            frame.put(role, first @ second)


def cat_backward(machine: "FloatMachine", frame: Frame) -> None:
    """To each input its part."""
    op, layers = frame.layer.op, frame.schedule.layers
    assert isinstance(op, Cat)
    g = frame.value("gradient")
    g = g.view(len(g), *frame.layer.shape)
    tensors = frame.schedule.tensors  # of the images there is no layer
    shapes = [
        layers[name].shape if name in layers else tensors["batch.images"].shape[1:]
        for name in frame.layer.inputs
    ]
    sizes = [shape[op.dim - 1] for shape in shapes]
    for index, part in enumerate(g.split(sizes, op.dim)):
        role = f"input gradient {index}" if index else "input gradient"
        if frame.makes(role):
            frame.put(role, part)


def computed(layer: Layer, inputs: list[Tensor]) -> Tensor:
    """What the layer makes of its inputs."""
    first, op = inputs[0], layer.op
    if isinstance(op, Add):
        total = inputs[0]
        for other in inputs[1:]:
            total = total + other
        return total
    if isinstance(op, Mul):
        return inputs[0] * inputs[1]
    if isinstance(op, MatMul):
        return (inputs[0] @ inputs[1]) * op.factor
    if isinstance(op, Cat):
        return torch.cat(inputs, op.dim)
    if isinstance(op, Dropout | ChannelDropout):
        return dropout.scaled(op, first)
    if op.rearranges:
        return _rearranged(layer, first)
    if isinstance(op, Scale):
        return first * op.factor + op.shift if op.factor else torch.zeros_like(first)
    if isinstance(op, Pad | Shortcut):
        return _bordered(op, first)
    return pools.mean(layer, first)


def _bordered(op: Pad | Shortcut, x: Tensor) -> Tensor:
    if isinstance(op, Pad):
        return F.pad(x, op.amounts, op.mode)
    taken = x[:, :, :: op.stride, :: op.stride]
    return F.pad(taken, (0, 0, 0, 0, op.channels_before, op.channels_behind))


def _rearranged(layer: Layer, x: Tensor) -> Tensor:
    """The same elements, codes or floats, in the order of the output."""
    op = layer.op
    if isinstance(op, Permute):
        return x.permute(op.dims)
    if isinstance(op, Expand):
        return x.expand(len(x), *layer.shape)
    if isinstance(op, Slice):
        return x[(slice(None), *_parts(op, layer.shape))]
    return x.reshape(len(x), *layer.shape)


def _parts(op: Slice, shape: tuple[int, ...]) -> Iterator[slice]:
    """Of each dimension behind the batch."""
    for start, step, size in zip(op.starts, op.steps, shape, strict=True):
        yield slice(start, start + (size - 1) * step + 1, step)
