"""Pools: maxima of codes or floats with their positions, and means."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

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
    index = _largest(frame.layer, x)
    source = frame.raws("input")
    whole = source[0].view(x.shape) if source else x
    frame.put("output", whole.flatten(2).gather(2, index.flatten(2)).view(index.shape))
    if frame.makes("argmax"):
        frame.put("argmax", _in_window(index, x.shape, op))


def _largest(layer: Layer, x: Tensor) -> Tensor:
    """Positions of the maxima in each map, flat; a window that reaches beyond it has those that are there."""
    op = layer.op
    assert isinstance(op, MaxPool)
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(op.kernel) - 1]
    _, index = pool(
        x, op.kernel, op.stride, op.padding, op.dilation, ceil_mode=_reaches(layer, x), return_indices=True
    )
    found: Tensor = index
    return found


def _reaches(layer: Layer, x: Tensor) -> bool:
    """Whether a last window stands partly outside of the map."""
    op = layer.op
    assert isinstance(op, MaxPool | AvgPool)
    spread = op.dilation if isinstance(op, MaxPool) else (1,) * len(op.kernel)
    fits = zip(layer.shape[1:], x.shape[2:], op.kernel, op.stride, op.padding, spread, strict=True)
    return any(
        count > (side + 2 * pad - apart * (kernel - 1) - 1) // step + 1
        for count, side, kernel, step, pad, apart in fits
    )


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
    inside = torch.zeros_like(index)
    for axis, place in enumerate(_places(index, shape[2:])):
        within = (place - _corner(index, op, axis)) // op.dilation[axis]
        inside = inside * op.kernel[axis] + within
    return inside


def _in_map(inside: Tensor, shape: Sequence[int], op: MaxPool) -> Tensor:
    index = torch.zeros_like(inside)
    for axis, within in enumerate(_places(inside, op.kernel)):
        index = index * shape[2 + axis] + within * op.dilation[axis] + _corner(inside, op, axis)
    return index


def _places(flat: Tensor, sides: Sequence[int]) -> list[Tensor]:
    """Flat positions as one for each dimension of space."""
    found = []
    for side in reversed(sides):
        found.append(flat % side)
        flat = flat // side
    return found[::-1]


def _corner(pooled: Tensor, op: MaxPool, axis: int) -> Tensor:
    """Where each window of a pooled map begins in a dimension of space."""
    starts = torch.arange(pooled.shape[2 + axis]) * op.stride[axis] - op.padding[axis]
    return starts.view(-1, *[1] * (pooled.ndim - 3 - axis))


def mean(layer: Layer, x: Tensor) -> Tensor:
    """Means over windows, or of as many windows as are asked for."""
    op, rank = layer.op, x.ndim - 3
    if isinstance(op, AvgPool):
        pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[rank]
        found: Tensor = pool(x, op.kernel, op.stride, op.padding, _reaches(layer, x), op.counts_padding)
        return found
    assert isinstance(op, AdaptiveAvgPool)
    adaptive: Any = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[rank]
    return adaptive(x, layer.shape[1:])  # type: ignore[no-any-return]
