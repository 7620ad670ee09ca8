"""Convolutions of codes: whole numbers are multiplied and summed as such, scales applied behind the sum.

A value that is a step times a whole number, summed as a float, is rounded with every product. Its whole
numbers are not: bytes are multiplied and summed in 32 bits, and the sum is scaled once. What differs from the
float sum is the rounding of that. The straight-through gradients are those of the values; in bf16 they are
made of the codes, which it holds exactly up to 256, and of errors that it rounds to 8 digits. Maps that are
kept in bf16 between layers take half as much to move, which is most of what a step takes.
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
    scales, zeros = scale.reshape(1), torch.zeros(1, dtype=torch.int32)
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


@torch.library.custom_op("blockwise::low_sums", mutates_args=())
def low_sums(x: Tensor, w: Tensor, stride: Sides, padding: Sides, dilation: Sides) -> Tensor:
    """The convolution of (B, C, H, W) and (O, C, kH, kW) in bf16, as float32 in the layout of channels last.

    To a compiler it is one operation: code that it fuses with conversions takes several times longer.
    """
    out: Tensor = F.conv2d(x.bfloat16(), w.bfloat16(), None, stride, padding, dilation).float()
    return out.contiguous(memory_format=torch.channels_last)


@low_sums.register_fake
def _shape_of_low_sums(x: Tensor, w: Tensor, stride: Sides, padding: Sides, dilation: Sides) -> Tensor:
    out: Tensor = _shape_of_sums(x, w, x, stride, padding, dilation)
    return out


@torch.library.custom_op("blockwise::conv_gradients", mutates_args=())
def conv_gradients(
    g: Tensor, x: Tensor, w: Tensor, stride: Sides, padding: Sides, dilation: Sides, wanted: list[bool],
    low: bool,
) -> list[Tensor]:  # fmt: skip
    """Of input and weight, of codes or values, those that are ``wanted``: float32, channels last.

    They are made in bf16 if ``low``. One operation to a compiler, as :func:`low_sums`.
    """
    return _gradients(g, x, w, (stride, padding, dilation), wanted, low=low)


@conv_gradients.register_fake
def _shape_of_gradients(
    g: Tensor, x: Tensor, w: Tensor, stride: Sides, padding: Sides, dilation: Sides, wanted: list[bool],
    low: bool,
) -> list[Tensor]:  # fmt: skip
    return _gradients(g, x, w, (stride, padding, dilation), wanted, low=low)


def _gradients(
    g: Tensor, x: Tensor, w: Tensor, where: tuple[Sides, Sides, Sides], wanted: list[bool], *, low: bool
) -> list[Tensor]:
    kind, none = torch.bfloat16 if low else torch.float32, [0, 0]
    of = (t.to(kind) for t in (g, x, w))
    found = torch.ops.aten.convolution_backward(*of, None, *where, False, none, 1, [*wanted, False])
    return [t.float().contiguous(memory_format=torch.channels_last) for t in found if t is not None]


class _ConvOfCodes(torch.autograd.Function):
    """Of values that are steps times codes. Steps get no gradient here: quantizers make theirs."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w: Tensor, x_step: Tensor, w_step: Tensor, stride: Sides, padding: Sides,
        dilation: Sides, low: bool, held: bool,
    ) -> Tensor:  # fmt: skip
        codes, weights = (x / x_step).round_().to(torch.uint8), (w / w_step).round_().to(torch.int8)
        ctx.save_for_backward(x if held else codes, weights, x_step, w_step)
        ctx.where, ctx.low, ctx.held = (stride, padding, dilation), low, held
        out: Tensor = sums_of_codes(codes, weights, x_step * w_step, stride, padding, dilation)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        read, weights, x_step, w_step = ctx.saved_tensors
        of_x, of_w = _gradients_of(ctx, grads[0], read, weights, low=ctx.low)
        of_x = None if of_x is None else of_x * w_step
        of_w = of_w if of_w is None or ctx.held else of_w * x_step
        return of_x, of_w, None, None, None, None, None, None, None


class _ConvInHalves(torch.autograd.Function):
    """Of values that are steps times codes, kept in bf16, which tells codes of 7 bits apart.

    Products are exact and summed in float32; what is kept of a sum is rounded to 8 digits.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w: Tensor, x_step: Tensor, w_step: Tensor, stride: Sides, padding: Sides,
        dilation: Sides,
    ) -> Tensor:  # fmt: skip
        codes, weights = ((t.float() / step).round_().bfloat16() for t, step in ((x, x_step), (w, w_step)))
        ctx.save_for_backward(codes, weights, x_step, w_step)
        ctx.where = where = stride, padding, dilation
        return F.conv2d(codes, weights, None, *where) * (x_step * w_step)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        codes, weights, x_step, w_step = ctx.saved_tensors
        wanted = [*ctx.needs_input_grad[:2], False]
        of_x, of_w, _ = torch.ops.aten.convolution_backward(
            grads[0], codes, weights, None, *ctx.where, False, [0, 0], 1, wanted
        )
        of_w = None if of_w is None else of_w.float() * x_step
        return None if of_x is None else of_x * w_step, of_w, None, None, None, None, None


class _LowConv(torch.autograd.Function):
    """Of values that are no codes: forward in float32, or of floats in bf16; gradients in bf16."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w: Tensor, stride: Sides, padding: Sides, dilation: Sides, rounded: bool
    ) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.where = where = stride, padding, dilation
        out: Tensor = low_sums(x, w, *where) if rounded else F.conv2d(x, w, None, *where)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return *_gradients_of(ctx, grads[0], *ctx.saved_tensors, low=True), None, None, None, None


def _gradients_of(
    ctx: Any, g: Tensor, x: Tensor, w: Tensor, *, low: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Of input and weight, None where one is not wanted."""
    wanted = list(ctx.needs_input_grad[:2])
    found = iter(conv_gradients(g, x, w, *ctx.where, wanted, low))
    of_x, of_w = (next(found) if one else None for one in wanted)
    return of_x, of_w


def conv_of_codes(
    x: Tensor, w: Tensor, x_step: Tensor, w_step: Tensor, where: tuple[Sides, Sides, Sides], *, low: bool,
    held: bool = False,
) -> Tensor:  # fmt: skip
    """Convolve ``x``, ``x_step`` times 0 .. 255, with ``w``, ``w_step`` times -128 .. 127; steps are ().

    ``where`` is stride, padding and dilation; ``low`` makes gradients in bf16. Of an ``x`` that is ``held``
    anyway, as the input of a block that steps by itself is, the codes are not kept for the backward pass.
    """
    return _ConvOfCodes.apply(x, w, x_step, w_step, *where, low, held)  # type: ignore[no-any-return]


def conv_in_halves(
    x: Tensor, w: Tensor, x_step: Tensor, w_step: Tensor, where: tuple[Sides, Sides, Sides]
) -> Tensor:
    """As :func:`conv_of_codes`, of ``x`` in bf16 or float32, with an output and gradients of x in bf16."""
    return _ConvInHalves.apply(x, w, x_step, w_step, *where)  # type: ignore[no-any-return]


def low_conv(x: Tensor, w: Tensor, where: tuple[Sides, Sides, Sides], *, rounded: bool) -> Tensor:
    """Convolve values that are no codes, with gradients in bf16; ``rounded``: the values themselves too."""
    return _LowConv.apply(x, w, *where, rounded)  # type: ignore[no-any-return]
