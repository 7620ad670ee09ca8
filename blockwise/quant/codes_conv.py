"""Convolutions of codes: whole numbers are multiplied and summed as such, scales applied behind the sum.

A value that is a step times a whole number, summed as a float, is rounded with every product. Its whole
numbers are not: bytes are multiplied and summed in 32 bits, and the sum is scaled once. What differs from the
float sum is the rounding of that. The straight-through gradients are those of the values; in bf16 they are
made of the codes, which it holds exactly up to 256, and of errors that it rounds to 8 digits.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Sides = list[int]


@torch.library.custom_op("blockwise::sums_of_codes", mutates_args=())
def sums_of_codes(
    x: Tensor, w: Tensor, scale: Tensor, stride: Sides, padding: Sides, dilation: Sides
) -> Tensor:
    """``scale`` () times the convolution of uint8 (B, C, H, W) and int8 (O, C, kH, kW), float32.

    oneDNN's kernel, with sums of 32 bits; the output (B, O, H', W') is in the layout of channels last.
    """
    scales = scale.reshape(1).expand(len(w)).contiguous()
    zeros = torch.zeros(len(w), dtype=torch.int32)
    where = (stride, padding, dilation, 1)
    ops = torch.ops.onednn
    packed = ops.qconv_prepack(w, scales, 1.0, 0, *where, list(x.shape))
    out: Tensor = ops.qconv2d_pointwise(
        x, 1.0, 0, packed, scales, zeros, None, *where, 1.0, 0, torch.float32, "none", [], ""
    )
    return out.contiguous(memory_format=torch.channels_last)


@sums_of_codes.register_fake
def _shape_of_sums(
    x: Tensor, w: Tensor, scale: Tensor, stride: Sides, padding: Sides, dilation: Sides
) -> Tensor:
    out = F.conv2d(x.float(), w.float(), None, stride, padding, dilation)
    return torch.empty_like(out, dtype=torch.float32, memory_format=torch.channels_last)


class _ConvOfCodes(torch.autograd.Function):
    """Of values that are steps times codes. Steps get no gradient here: quantizers make theirs."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w: Tensor, x_step: Tensor, w_step: Tensor, stride: Sides, padding: Sides,
        dilation: Sides, low: bool,
    ) -> Tensor:  # fmt: skip
        codes, weights = (x / x_step).round_().to(torch.uint8), (w / w_step).round_().to(torch.int8)
        ctx.save_for_backward(codes, weights, x_step, w_step)
        ctx.where, ctx.low = (stride, padding, dilation), low
        out: Tensor = sums_of_codes(codes, weights, x_step * w_step, stride, padding, dilation)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        codes, weights, x_step, w_step = ctx.saved_tensors
        kind = torch.bfloat16 if ctx.low else torch.float32
        wanted = list(ctx.needs_input_grad[:2])
        of_x, of_w = _gradients(grads[0].to(kind), codes.to(kind), weights.to(kind), ctx.where, wanted)
        scaled = (None if g is None else g.float() * step for g, step in ((of_x, w_step), (of_w, x_step)))
        return *scaled, None, None, None, None, None, None


class _LowConv(torch.autograd.Function):
    """Of values that are no codes: forward in float32, or of floats in bf16; gradients in bf16."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w: Tensor, stride: Sides, padding: Sides, dilation: Sides, rounded: bool
    ) -> Tensor:
        low = x.bfloat16(), w.bfloat16()
        ctx.save_for_backward(*low)
        ctx.where = stride, padding, dilation
        return F.conv2d(*(low if rounded else (x, w)), None, *ctx.where).float()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        wanted = list(ctx.needs_input_grad[:2])
        x, w = ctx.saved_tensors
        found = _gradients(grads[0].bfloat16(), x, w, ctx.where, wanted)
        return *(None if g is None else g.float() for g in found), None, None, None, None


def _gradients(
    g: Tensor, x: Tensor, w: Tensor, where: tuple[Sides, Sides, Sides], wanted: list[bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Of input and weight of a convolution without bias."""
    none = [0, 0]
    found = torch.ops.aten.convolution_backward(g, x, w, None, *where, False, none, 1, [*wanted, False])
    return found[0], found[1]


def conv_of_codes(
    x: Tensor, w: Tensor, x_step: Tensor, w_step: Tensor, where: tuple[Sides, Sides, Sides], *, low: bool
) -> Tensor:
    """Convolve ``x``, ``x_step`` times 0 .. 255, with ``w``, ``w_step`` times -128 .. 127; steps are ().

    ``where`` is stride, padding and dilation; ``low`` makes gradients in bf16.
    """
    return _ConvOfCodes.apply(x, w, x_step, w_step, *where, low)  # type: ignore[no-any-return]


def low_conv(x: Tensor, w: Tensor, where: tuple[Sides, Sides, Sides], *, rounded: bool) -> Tensor:
    """Convolve values that are no codes, with gradients in bf16; ``rounded``: the values themselves too."""
    return _LowConv.apply(x, w, *where, rounded)  # type: ignore[no-any-return]
