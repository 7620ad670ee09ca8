"""What straight-through estimators of several methods share (Bengio et al. 2013, arXiv 1308.3432)."""

import torch
from torch import Tensor


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, value: Tensor) -> Tensor:
        return value

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None


def straight_through(x: Tensor, value: Tensor) -> Tensor:
    """``value``, a constant of the shape of ``x``; all of its gradient goes to ``x``."""
    return _StraightThrough.apply(x, value)  # type: ignore[no-any-return]


def within(g: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    """``g`` where low <= x <= high, else 0; the ends are 0 or plus or minus 1."""
    info = torch.finfo(x.dtype)
    first, last = low - (info.eps if low else info.tiny), high + info.eps  # the first numbers beyond
    return torch.ops.aten.hardtanh_backward(g, x, first, last)  # type: ignore[no-any-return]
