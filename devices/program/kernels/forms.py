"""Activations in float: what they compute, and their derivatives as far as they are read off an output."""

import torch
from torch import Tensor
from torch.nn import functional as F

from devices.network.ops import ELU, GELU, Mish, Op, ReLU, Sigmoid, Swish, Tanh


def activated(op: Op, x: Tensor) -> Tensor:
    """The float form of an activation."""
    if isinstance(op, ReLU):
        return x.clamp(op.low, op.high)
    if isinstance(op, Swish):
        return F.hardswish(x) if op.hard else F.silu(x)
    if isinstance(op, GELU):
        return F.gelu(x, approximate="tanh" if op.tanh else "none")
    if isinstance(op, Sigmoid):
        return F.hardsigmoid(x) if op.hard else torch.sigmoid(x)
    if isinstance(op, Mish):
        return F.mish(x)
    if isinstance(op, ELU):
        return op.scale * F.elu(x, op.alpha)
    assert isinstance(op, Tanh)
    return x.clamp(op.low, op.high) if op.hard else torch.tanh(x)


def passes(op: Op, out: Tensor) -> Tensor:
    """Where a gradient comes through a ReLU unchanged, read off its output."""
    assert isinstance(op, ReLU)
    return out > op.low if op.high is None else (out > op.low) & (out < op.high)


def slope_at(op: Op, x: Tensor) -> Tensor:
    """The derivative at the input ``x``."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (found,) = torch.autograd.grad(activated(op, x).sum(), x)
    return found


def slope_of(op: Op, out: Tensor) -> Tensor:
    """The derivative of a sigmoid, a hyperbolic tangent or an ELU, by its output."""
    if isinstance(op, Sigmoid):
        return ((out > 0) & (out < 1)) / 6 if op.hard else out * (1 - out)
    if isinstance(op, ELU):
        return torch.where(out > 0, op.scale, out + op.scale * op.alpha)
    assert isinstance(op, Tanh)
    return ((out > op.low) & (out < op.high)).float() if op.hard else 1 - out * out
