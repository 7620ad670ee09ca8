"""Convolutions and linear layers: filter by filter from latent weights or packed codes."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from devices.network.ops import Conv, Linear
from devices.program.execute.frame import Frame

if TYPE_CHECKING:
    from devices.program.kernels.machine import FloatMachine


def forward(machine: "FloatMachine", frame: Frame) -> None:
    """Sums of products, into an accumulator of 32 bits."""
    (x,) = frame.values("input")
    out = _product(frame, x, _weights(machine, frame, moves=frame.makes("levels")))
    if frame.has("bias"):
        out = out + frame.raw("bias").view(-1, *[1] * (out.ndim - 2))
    frame.put("output", out)


def again(machine: "FloatMachine", frame: Frame) -> None:
    """The accumulator of a norm that did not keep it."""
    out = _product(frame, frame.value("saved input"), _weights(machine, frame))
    if frame.has("bias"):
        out = out + frame.raw("bias").view(-1, *[1] * (out.ndim - 2))
    frame.put("output", out)


def input_gradient(machine: "FloatMachine", frame: Frame) -> None:
    """The error of the input, from the old weights."""
    shape = frame.memory.tensors[frame.result("input gradient")].shape
    weights = _weights(machine, frame)
    g = frame.raw("gradient")
    found = _pulled(lambda x: _product(frame, x, weights), torch.zeros(shape), g)
    frame.put("input gradient", found)


def weight_gradient(machine: "FloatMachine", frame: Frame) -> None:
    """Gradients of latent weights, biases and the quantizer's values."""
    (x,), g = frame.values("saved input"), frame.raw("gradient")
    latent, trained, kept = machine.state_of(frame)
    start = torch.zeros(_shape(frame))
    found = _pulled(lambda w: _product(frame, x, w), start, g)
    if frame.has("bias"):
        frame.put("bias gradient", _maps(frame, g).sum([d for d in range(_maps(frame, g).ndim) if d != 1]))
    quantizer = machine.quantizers.get(frame.operation.layer)
    if quantizer is None:
        frame.put("weight gradient", found)
        return
    found, step = quantizer.weight_gradient(found.flatten(), latent, trained, kept)
    frame.put("weight gradient", found)
    if step is not None:
        frame.put("step gradient", step)


def _weights(machine: "FloatMachine", frame: Frame, *, moves: bool = False) -> Tensor:
    """The weights that are multiplied; each filter's codes pass through the scratch."""
    name, shape = frame.operation.layer, _shape(frame)
    quantizer = machine.quantizers.get(name)
    if frame.has("codes"):
        codes, constants = frame.raw("codes"), frame.raw("step") if frame.has("step") else None
        if quantizer is None:
            return codes.view(shape)
        codes = _through_scratch(frame, codes, shape)
        return quantizer.unpacked(codes, constants).view(shape)
    latent, trained, kept = machine.state_of(frame)
    if quantizer is None:
        return latent.view(shape)
    found = quantizer.weights(latent, trained, kept, moves=moves and not frame.turn)
    if found.codes is not None:
        _through_scratch(frame, found.codes, shape)
    if moves and not frame.turn and found.kept is not None:
        frame.put("levels", found.kept)
    return found.floats.view(shape)


def _through_scratch(frame: Frame, codes: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Codes one filter at a time, as bytes that are written and read."""
    if not frame.operation.scratch:
        return codes
    (scratch,) = frame.operation.scratch
    rows = codes.reshape(shape[0], -1) if codes.numel() == torch.Size(shape).numel() else None
    if rows is None:  # a code for several weights
        return codes
    found = []
    for row in rows:
        frame.store(scratch, row)
        found.append(frame.memory.load(scratch))
    return torch.stack(found).reshape(codes.shape)


def _shape(frame: Frame) -> tuple[int, ...]:
    op = frame.layer.op
    if isinstance(op, Conv):
        return (op.channels, op.in_channels // op.groups, *op.kernel)
    assert isinstance(op, Linear)
    return (op.features, op.in_features)


def _product(frame: Frame, x: Tensor, weights: Tensor) -> Tensor:
    op = frame.layer.op
    if isinstance(op, Linear):
        return F.linear(x, weights)
    assert isinstance(op, Conv)
    conv = (F.conv1d, F.conv2d, F.conv3d)[len(op.kernel) - 1]
    found: Tensor = conv(x, weights, None, op.stride, op.padding, op.dilation, op.groups)
    return found


def _maps(frame: Frame, g: Tensor) -> Tensor:
    return g.view(len(g), *frame.layer.shape)


def _pulled(compute: Callable[[Tensor], Tensor], at: Tensor, g: Tensor) -> Tensor:
    """The gradient of ``compute`` at ``at``, where that of its output is ``g``."""
    with torch.enable_grad():
        at = at.requires_grad_()
        out = compute(at)
        (found,) = torch.autograd.grad(out, at, g.view(out.shape))
    return found
