"""Activations and the quantizers behind them: codes and a mask, or floats."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from devices.network.ops import LeakyReLU
from devices.program.execute.frame import Frame
from devices.program.kernels import forms, pools
from devices.program.kernels.quantization import OnBoard

if TYPE_CHECKING:
    from devices.program.kernels.machine import FloatMachine


def forward(machine: "FloatMachine", frame: Frame) -> None:
    """Codes where the layer has a quantizer, else floats."""
    (x,) = frame.values("input")
    quantizer = machine.quantizers.get(frame.operation.layer)
    if quantizer is None:
        out = machine.float_form(frame.layer, x)
        frame.put("output", out)
        if frame.makes("mask"):
            frame.put("mask", forms.passes(frame.layer.op, out).long())
        return
    _, trained, kept = machine.state_of(frame)
    if frame.operation.at_rest:
        levels = trained if kept is None else kept[: len(kept) // 2]
        frame.put("output", quantizer.encode_at_rest(x, levels))
        if frame.makes("mask"):
            frame.put("mask", quantizer.passes_at_rest(x, levels).long())
        return
    moves = frame.makes("levels")
    found = quantizer.encode(x, trained, kept, moves=moves)
    frame.put("output", found.codes)
    frame.put("mask", found.mask.long())
    if moves and found.kept is not None:
        frame.put("levels", found.kept)


def backward(machine: "FloatMachine", frame: Frame) -> None:
    """In place on the gradient; a trained quantizer has its own."""
    g = frame.value("gradient")
    quantizer = machine.quantizers.get(frame.operation.layer)
    if quantizer is None:
        pools.put_gradient(frame, _through(frame, g))
        return
    _, trained, kept = machine.state_of(frame)
    g = g.view(len(g), *frame.layer.shape)
    if not frame.layer.trained.levels:
        pools.put_gradient(frame, _through_constants(frame, quantizer, g, trained))
        return
    mask = frame.raw("saved mask").bool() if frame.has("saved mask") else None
    x = frame.value("saved input").view(g.shape) if frame.has("saved input") else None
    codes = frame.raw("saved output") if frame.has("saved output") else None
    found, step = quantizer.gradient(g, mask, codes, x, trained, kept)
    pools.put_gradient(frame, found)
    if step is not None:
        frame.put("step gradient", step)


def _through_constants(frame: Frame, quantizer: OnBoard, g: Tensor, levels: Tensor | None) -> Tensor:
    """Behind a quantizer whose values are constant: by the mask, or by what the activation reads."""
    if frame.has("saved mask"):
        return torch.where(frame.raw("saved mask").bool().view(g.shape), g, 0)
    return g * quantizer.slope_at_rest(frame.value("saved input").view(g.shape), levels)


def _through(frame: Frame, g: Tensor) -> Tensor:
    """The gradient of a float activation's input, by what was saved of it."""
    op = frame.layer.op
    if frame.has("saved input"):
        return g * forms.slope_at(op, frame.value("saved input").view(g.shape))
    if frame.has("saved mask"):
        return torch.where(frame.raw("saved mask").bool().view(g.shape), g, 0)
    return torch.where(forms.passes(op, frame.value("saved output")).view(g.shape), g, 0)


def gate(machine: "FloatMachine", frame: Frame) -> None:
    """A sigmoid, a hyperbolic tangent or an ELU: floats."""
    (x,) = frame.values("input")
    frame.put("output", forms.activated(frame.layer.op, x))


def gate_backward(machine: "FloatMachine", frame: Frame) -> None:
    """By its output."""
    g = frame.value("gradient")
    pools.put_gradient(frame, g * forms.slope_of(frame.layer.op, frame.value("saved output")).view(g.shape))


def softmax(machine: "FloatMachine", frame: Frame) -> None:
    """Of each row: floats."""
    (x,) = frame.values("input")
    frame.put("output", torch.softmax(x, -1))


def softmax_backward(machine: "FloatMachine", frame: Frame) -> None:
    """By its output y: y (g - sum g y), the sum over the row."""
    y = frame.value("saved output")
    g = frame.value("gradient").view(y.shape)
    pools.put_gradient(frame, y * (g - (g * y).sum(-1, keepdim=True)))


def leaky(machine: "FloatMachine", frame: Frame) -> None:
    """x, or a slope times x; which of them each element is, zero being of the latter, is kept."""
    (x,), op = frame.values("input"), frame.layer.op
    assert isinstance(op, LeakyReLU)
    frame.put("output", F.leaky_relu(x, op.slope))
    frame.put("sign", (x <= 0).long())


def leaky_backward(machine: "FloatMachine", frame: Frame) -> None:
    """By the signs."""
    g, op = frame.value("gradient"), frame.layer.op
    assert isinstance(op, LeakyReLU)
    negative = frame.raw("saved sign").bool().view(g.shape)
    pools.put_gradient(frame, torch.where(negative, op.slope * g, g))
