"""Pools: maxima of codes or floats with their positions, and means."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from devices.network import Layer
from devices.network.ops import AdaptiveAvgPool, AvgPool, MaxPool
from devices.program.execute.frame import Frame
from devices.program.operation import Derived, Stored

if TYPE_CHECKING:
    from devices.program.kernels.machine import FloatMachine


def max_forward(machine: "FloatMachine", frame: Frame) -> None:
    """The largest of each window as it lies in memory, and where in the window it stood."""
    (x,), op = frame.values("input"), frame.layer.op
    assert isinstance(op, MaxPool)
    _, index = F.max_pool2d(x, op.kernel, op.stride, op.padding, return_indices=True)
    source = frame.raws("input")
    whole = source[0].view(x.shape) if source else x
    frame.put("output", whole.flatten(2).gather(2, index.flatten(2)).view(index.shape))
    if frame.makes("argmax"):
        frame.put("argmax", _in_window(index, x.shape, op))


def max_backward(machine: "FloatMachine", frame: Frame) -> None:
    """To where the largest stood."""
    shape = frame.memory.tensors[frame.result("input gradient")].shape
    frame.put("input gradient", spread(frame.layer, frame.raw("gradient"), frame.raw("saved argmax"), shape))


def spread(pool: Layer, g: Tensor, inside: Tensor, shape: Sequence[int]) -> Tensor:
    """The gradient of a pool's input (``shape``), from that of its output and the positions in windows."""
    assert isinstance(pool.op, MaxPool)
    where = _in_map(inside, shape, pool.op).flatten(2)
    found = g.new_zeros(tuple(shape)).flatten(2)
    found.scatter_add_(2, where, g.reshape(where.shape))
    return found.view(tuple(shape))


def put_gradient(frame: Frame, value: Tensor) -> None:
    """Write the gradient of the input, as it is held."""
    if frame.makes("input gradient"):
        frame.put("input gradient", as_held(frame, value))


def as_held(frame: Frame, value: Tensor) -> Tensor:
    """The gradient of the input; if it is read through a pool's positions, only what stands there."""
    operand = frame.operand("gradient")
    target = frame.memory.tensors[frame.result("input gradient")]
    if isinstance(operand, Derived) and target.elements < value.numel():
        pool, positions = frame.schedule.layers[operand.layer], operand.inputs[1]
        assert isinstance(positions, Stored)
        assert isinstance(pool.op, MaxPool)
        inside = frame.memory.load(positions.tensor)
        where = _in_map(inside, value.shape, pool.op).flatten(2)
        value = value.flatten(2).gather(2, where)
    return value


def _in_window(index: Tensor, shape: Sequence[int], op: MaxPool) -> Tensor:
    """Positions in the map as positions in each window."""
    row, column = _corner(index.shape, op)
    return (index // shape[3] - row) * op.kernel[1] + index % shape[3] - column


def _in_map(inside: Tensor, shape: Sequence[int], op: MaxPool) -> Tensor:
    row, column = _corner(inside.shape, op)
    return (inside // op.kernel[1] + row) * shape[3] + inside % op.kernel[1] + column


def _corner(shape: Sequence[int], op: MaxPool) -> tuple[Tensor, Tensor]:
    """Row and column of the first element of each window."""
    rows = torch.arange(shape[2]).view(-1, 1) * op.stride[0] - op.padding[0]
    return rows, torch.arange(shape[3]) * op.stride[1] - op.padding[1]


def mean(op: object, x: Tensor) -> Tensor:
    """Means over windows, or of as many windows as are asked for."""
    if isinstance(op, AvgPool):
        return F.avg_pool2d(x, op.kernel, op.stride, op.padding, count_include_pad=op.counts_padding)
    assert isinstance(op, AdaptiveAvgPool)
    return F.adaptive_avg_pool2d(x, (op.output[0], op.output[-1]))
