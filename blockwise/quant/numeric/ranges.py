"""What methods with a trained range share: sums for its gradient, and where it starts."""

from typing import Any

import torch
from torch import Tensor

SMALLEST_STEP = 1e-12
"""A step must not reach zero: values are divided by it. Far below any that data ask for."""

CANDIDATES = 40
SAMPLE = 1 << 14
"""Values that a start is chosen from; more hardly change it."""


class _AboveZero(torch.autograd.Function):
    """max(|p|, SMALLEST_STEP), whose gradient is that of |p| also where the floor holds, and at 0."""

    @staticmethod
    def forward(ctx: Any, p: Tensor) -> Tensor:
        ctx.save_for_backward(p)
        return p.abs().clamp_min(SMALLEST_STEP)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (p,) = ctx.saved_tensors
        return torch.where(p < 0, -grads[0], grads[0])


def above_zero(p: Tensor) -> Tensor:
    """The size that a trained parameter stands for: above zero, with a gradient wherever it is."""
    return _AboveZero.apply(p)  # type: ignore[no-any-return]


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Sum of products, of bf16 in float32. Of dense tensors with equal strides all elements are in order."""
    a, b = (t.float() if t.dtype == torch.bfloat16 else t for t in (a, b))
    if torch.compiler.is_compiling():  # the compiler fuses this with what surrounds it
        return (a * b).sum()
    if a.stride() == b.stride() and _is_dense(a):
        flat = (a.numel(),), (1,)
        return torch.dot(a.as_strided(*flat), b.as_strided(*flat))
    return torch.dot(a.reshape(-1), b.reshape(-1))


def _is_dense(x: Tensor) -> bool:
    channels_last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return x.is_contiguous() or channels_last


def offset_and_step_gradients(
    g: Tensor, g_x: Tensor, x: Tensor, y: Tensor, offset: Tensor, step: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of offset o and step s of y = o + s R(C((x - o) / s, 0, n)).

    ``g`` is the gradient of y, ``g_x`` that of x by the method's estimator. Then do = sum g - g_x and
    ds = sum g R(..) - g_x (x - o) / s, both written as sums over tensors that exist.
    """
    d_offset = g.sum() - g_x.sum()
    return d_offset, (inner(g, y) - inner(g_x, x) - offset * d_offset) / step


def least_error_end(x: Tensor, levels: int, *, signed: bool = False) -> Tensor:
    """The end e of [0, e], or [-e, e], whose ``levels`` + 1 even levels lie nearest to ``x``.

    Nearest in squared error, of 40 shares of the largest value; zero if that is not positive.
    """
    stride = (x.numel() // SAMPLE) | 1  # odd: meets every column of images
    values = x.detach().reshape(-1)[::stride].float()
    largest = (values.abs() if signed else values).amax().clamp_min(0)
    values = values[:, None] / largest.clamp_min(torch.finfo(values.dtype).tiny)
    ends = torch.arange(1, CANDIDATES + 1, device=x.device) / CANDIDATES
    low = -ends if signed else torch.zeros_like(ends)
    step = (ends - low) / levels
    nearest = ((values - low) / step).clamp_(0, levels).round_() * step + low
    return largest * ends[(nearest - values).square().sum(0).argmin()]
