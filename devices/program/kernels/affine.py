"""Trained factors and summands of channels."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from devices.network.ops import Affine
from devices.program.execute.frame import Frame
from devices.program.kernels import pools

if TYPE_CHECKING:
    from devices.program.kernels.machine import FloatMachine


def forward(machine: "FloatMachine", frame: Frame) -> None:
    """Each channel by its factor, then its summand."""
    (x,) = frame.values("input")
    scale, shift = _parts(frame)
    x = x if scale is None else x * scale
    frame.put("output", x if shift is None else x + shift)


def backward(machine: "FloatMachine", frame: Frame) -> None:
    """Those of factors read the input; the gradient of the input goes by the factors, in place."""
    g = frame.value("gradient")
    g = g.view(len(g), *frame.layer.shape)
    scale, shift = _parts(frame)
    if frame.makes("bias gradient"):
        of_factors = [] if scale is None else [_sums(g * frame.value("saved input").view(g.shape), scale)]
        of_summands = [] if shift is None else [_sums(g, shift)]
        frame.put("bias gradient", torch.cat(of_factors + of_summands))
    pools.put_gradient(frame, g if scale is None else g * scale)


def _parts(frame: Frame) -> tuple[Tensor | None, Tensor | None]:
    """Factors and summands, each in a shape that spreads over (B, C, ...); None for what is not there."""
    op = frame.layer.op
    assert isinstance(op, Affine)
    rows = iter(frame.raw("bias").view(op.bias_tensors, 1, *op.beside(frame.layer.shape)))
    return next(rows) if op.scales else None, next(rows) if op.shifts else None


def _sums(values: Tensor, spread: Tensor) -> Tensor:
    """Over all places for which an element of ``spread`` stands, flat."""
    return values.sum_to_size(spread.shape).flatten()
