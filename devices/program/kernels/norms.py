"""Norms: in place on the accumulator; whoever reads the normalised values applies scale and shift."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from devices.network import Layer
from devices.network.ops import BatchNorm, ChannelNorm, FrozenNorm, GroupNorm, LayerNorm, Op
from devices.program.execute.frame import Frame, Parameters
from devices.program.kernels import pools

if TYPE_CHECKING:
    from devices.program.kernels.machine import FloatMachine


def forward(machine: "FloatMachine", frame: Frame) -> None:
    """Normalise; in training by statistics of the batch, or of groups of channels."""
    (x,) = frame.values("input")
    op = frame.layer.op
    if isinstance(op, FrozenNorm) or (isinstance(op, BatchNorm) and frame.operation.at_rest):
        roles = [role for role in ("folded", "running", "bias") if frame.has(role)]
        frame.put("output", derived(frame.layer, [x], {role: frame.raw(role) for role in roles}))
    else:
        _normalise(frame, x)


def _normalise(frame: Frame, x: Tensor) -> None:
    op = frame.layer.op
    assert isinstance(op, BatchNorm | GroupNorm | LayerNorm | ChannelNorm)
    rows, dims = _rows(x, op)
    variance, mean = torch.var_mean(rows, dims, correction=0, keepdim=True)
    scale = (variance + op.eps).rsqrt()
    out = ((rows - mean) * scale).view(x.shape)
    if frame.operation.at_rest and frame.has("bias"):  # nobody is left to apply scale and shift
        out = affine(out, frame.raw("bias"), op)
    frame.put("output", out)
    if frame.makes("statistics"):
        kept = [mean.flatten()] if _statistics(frame) == 2 * scale.numel() else []
        frame.put("statistics", torch.cat([*kept, scale.flatten()]))
    if frame.makes("running"):
        assert isinstance(op, BatchNorm)
        assert op.momentum is not None
        count = x.numel() // op.channels
        unbiased = variance.flatten() * (count / max(count - 1, 1))
        now = torch.cat([mean.flatten(), unbiased])
        frame.put("running", torch.lerp(frame.raw("running"), now, op.momentum))


def _statistics(frame: Frame) -> int:
    return frame.memory.tensors[frame.result("statistics")].elements


def again(machine: "FloatMachine", frame: Frame) -> None:
    """Normalise once more, by mean and 1/std as they were."""
    x = frame.raw("input")
    mean, scale = frame.raw("saved statistics").view(2, -1, *[1] * (x.ndim - 2))
    frame.put("output", (x - mean) * scale)


def backward(machine: "FloatMachine", frame: Frame) -> None:
    """In place on the gradient: g -> scale (g' - mean g' - y mean g' y), where g' = gamma g."""
    g, op = frame.value("gradient"), frame.layer.op
    g = g.view(len(g), *frame.layer.shape)
    if isinstance(op, FrozenNorm):
        constants = frame.raw("folded" if frame.has("folded") else "running")[: op.count]
        if frame.makes("bias gradient"):
            frame.put("bias gradient", g.sum([d for d in range(g.ndim) if d != 1]))
        pools.put_gradient(frame, g * constants.view(1, *op.beside(frame.layer.shape)))
        return
    y = frame.raw("saved output").view(g.shape)
    if frame.has("bias"):
        scale, _ = _pair(frame.raw("bias"), g, op)
        if frame.makes("bias gradient"):
            pair = [(g * y).sum_to_size(scale.shape), g.sum_to_size(scale.shape)]
            frame.put("bias gradient", torch.cat([part.flatten() for part in pair]))
        g = g * scale
    if not frame.makes("input gradient"):
        return
    rows, around = _rows(g, op)
    out, _ = _rows(y, op)
    shape = [1 if d in around else n for d, n in enumerate(rows.shape)]
    scale = frame.raw("saved statistics")[-math.prod(shape) :]
    found = rows - rows.mean(around, keepdim=True) - out * (rows * out).mean(around, keepdim=True)
    pools.put_gradient(frame, found * scale.view(shape))


def derived(layer: Layer, inputs: list[Tensor], parameters: Parameters) -> Tensor:
    """Scale and shift by the reader; of a layer at rest all that it does."""
    (x,), op = inputs, layer.op
    if "folded" in parameters:
        return affine(x, parameters["folded"], op)
    if isinstance(op, FrozenNorm):
        return affine(
            x, torch.cat([parameters[what] for what in ("running", "bias") if what in parameters]), op
        )
    if "running" in parameters:
        assert isinstance(op, BatchNorm)
        x = _by_running(x, parameters["running"], op.eps)
    return affine(x, parameters["bias"], op) if "bias" in parameters else x


def affine(x: Tensor, pair: Tensor, op: Op) -> Tensor:
    """x times the first half of ``pair`` plus the second: by channel, of a layer norm by element."""
    scale, shift = _pair(pair, x, op)
    return torch.addcmul(shift, x, scale)


def _pair(pair: Tensor, x: Tensor, op: Op) -> Tensor:
    """The halves of a pair, each in a shape that spreads over x (B, C, ...)."""
    if isinstance(op, LayerNorm):
        return pair.view(2, *[1] * (x.ndim - len(op.normalized)), *op.normalized)
    if isinstance(op, FrozenNorm):
        return pair.view(2, 1, *op.beside(tuple(x.shape[1:])))
    return pair.view(2, 1, -1, *[1] * (x.ndim - 2))


def _by_running(x: Tensor, running: Tensor, eps: float) -> Tensor:
    mean, variance = running.view(2, -1, *[1] * (x.ndim - 2))
    found: Tensor = (x - mean) * (variance + eps).rsqrt()
    return found


def _rows(x: Tensor, op: object) -> tuple[Tensor, list[int]]:
    """x in the form in which one mean is taken over the dimensions given with it."""
    if isinstance(op, GroupNorm | LayerNorm):
        return x.reshape(len(x), op.norm_groups, -1), [2]
    if isinstance(op, ChannelNorm):
        return x, [1]
    return x, [d for d in range(x.ndim) if d != 1]
