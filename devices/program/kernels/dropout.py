"""Dropout: what is dropped is zero, of codes the code of zero; what stays is scaled by whoever reads it."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from devices.network.ops import ChannelDropout, Dropout
from devices.program.execute.frame import Frame
from devices.program.execute.memory import Misread
from devices.program.kernels import pools
from devices.program.operation import Derived

if TYPE_CHECKING:
    from devices.program.kernels.machine import FloatMachine


def forward(machine: "FloatMachine", frame: Frame) -> None:
    """In place on codes or floats; one bit for each draw is kept."""
    stored = frame.raws("input")
    x = stored[0] if stored else frame.value("input")
    kept = _drawn(machine, frame, x)
    frame.put("output", torch.where(_over(kept, x), x, zero(machine, frame) if stored else 0))
    frame.put("kept", kept.long())


def backward(machine: "FloatMachine", frame: Frame) -> None:
    """In place: as the values went, with their factor."""
    g, op = frame.value("gradient"), frame.layer.op
    g = g.view(len(g), *frame.layer.shape)
    kept = frame.raw("saved kept").bool()
    pools.put_gradient(frame, torch.where(_over(kept, g), scaled(op, g), 0))


def scaled(op: object, x: Tensor) -> Tensor:
    """What stays, so that the mean stays what it is."""
    assert isinstance(op, Dropout | ChannelDropout)
    return x / (1 - op.rate) if op.rate < 1 else x


def zero(machine: "FloatMachine", frame: Frame) -> int:
    """The code of zero of the only input; 0 of floats. Raises Misread where there is no such code."""
    operand = frame.operand("input")
    while isinstance(operand, Derived):  # a view of it
        (operand,) = operand.inputs
    bits = frame.memory.tensors[operand.tensor].bits
    if not operand.maker:
        return 0
    levels = [frame.memory.load(name) for name in operand.levels]
    means = machine.meaning(operand, torch.arange(1 << bits), levels)
    code = int(means.abs().argmin())
    if means[code] != 0:
        raise Misread(f"{frame.operation.name}: {operand.maker} has no code of zero")
    return code


def _drawn(machine: "FloatMachine", frame: Frame, x: Tensor) -> Tensor:
    """Which stay, of the images of this pass: of the whole step's, drawn once."""
    op, layer = frame.layer.op, frame.layer
    assert isinstance(op, Dropout | ChannelDropout)
    shape = layer.shape[:1] if isinstance(op, ChannelDropout) else layer.shape
    if layer.name not in machine.draws:
        machine.draws[layer.name] = torch.rand(machine.images, *shape) >= op.rate
    return machine.draws[layer.name][frame.images].view(len(x), *shape)


def _over(kept: Tensor, x: Tensor) -> Tensor:
    """One draw for each element, or for each channel."""
    return (
        kept.view(*kept.shape, *[1] * (x.ndim - kept.ndim))
        if kept.numel() < x.numel()
        else kept.view(x.shape)
    )
