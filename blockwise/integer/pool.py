"""Pooling over windows that do not overlap; rows and columns beyond the last whole window are dropped."""

from dataclasses import replace

import torch
from torch import Size, Tensor

from blockwise.integer.pointwise import Numbers
from blockwise.integer.rounding import nearest
from blockwise.integer.tensor import INT8, IntTensor
from devices.errors import InputError


def max_pool(x: IntTensor) -> tuple[IntTensor, Tensor]:
    """The largest of each 2x2 window, and its place (uint8): 0 1 over 2 3, the first of equal ones."""
    c0, c1, c2, c3 = _corners(x.mantissa)
    above, below = torch.maximum(c0, c1), torch.maximum(c2, c3)
    right_above, right_below, lower = (
        (b > a).view(torch.uint8) for a, b in ((c0, c1), (c2, c3), (above, below))
    )
    which = (right_below + 2 - right_above).mul_(lower).add_(right_above)  # torch.where is ten times as slow
    return replace(x, mantissa=torch.maximum(above, below)), which


def max_pool_gradient(error: Numbers, which: Tensor, in_shape: Size | tuple[int, ...]) -> Numbers:
    """The error where the largest was, 0 elsewhere."""
    out = _zeros(error.mantissa, in_shape)
    for place, corner in enumerate(_corners(out)):
        here = which == torch.full_like(which, place)  # eight times as fast as with a number
        torch.mul(error.mantissa, here.view(torch.int8), out=corner)
    return replace(error, mantissa=out)


def avg_pool(x: IntTensor, size: int) -> IntTensor:
    """The mean of each size x size window, size a power of two: their int32 sum, shifted.

    Rounded to the nearest integer, ties away from zero; the exponent stays.
    """
    shift = _shift(size)
    sums = _sums(x, size)
    return replace(x, mantissa=(nearest(sums, shift) if shift else sums).to(torch.int8))


def wide_avg_pool(x: IntTensor, size: int) -> IntTensor:
    """:func:`avg_pool` as int8, whatever the format: narrower mantissas gain fractional bits.

    A format of M magnitude bits leaves 7 - M, which are taken off the exponent.
    """
    spare = INT8.magnitude_bits - x.format.magnitude_bits
    shift = _shift(size) - spare
    sums = _sums(x, size)
    mean = nearest(sums, shift) if shift > 0 else sums << -shift
    return IntTensor(mean.to(torch.int8), x.exponent - spare, INT8)


def avg_pool_gradient(error: Numbers, size: int, in_shape: Size | tuple[int, ...]) -> Numbers:
    """Every input's share of its window's error: the same mantissa, 2 log2(size) off the exponent."""
    shift = _shift(size)
    out = _zeros(error.mantissa, in_shape)
    _windows(out, size).copy_(error.mantissa[:, :, :, None, :, None])
    return replace(error, mantissa=out, exponent=error.exponent - shift)


def _zeros(error: Tensor, in_shape: Size | tuple[int, ...]) -> Tensor:
    """Channels last in memory, as convolutions want their maps."""
    out = torch.empty(
        tuple(in_shape), dtype=error.dtype, device=error.device, memory_format=torch.channels_last
    )
    return out.zero_()


def _sums(x: IntTensor, size: int) -> Tensor:
    """Of each window, int32 (B, C, rows, columns)."""
    return _windows(x.mantissa, size).sum((3, 5), dtype=torch.int32)


def _corners(x: Tensor) -> list[Tensor]:
    """The four places of all 2x2 windows, as views (B, C, H // 2, W // 2)."""
    whole = x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
    return [whole[:, :, place // 2 :: 2, place % 2 :: 2] for place in range(4)]


def _windows(x: Tensor, size: int) -> Tensor:
    """A view (B, C, rows, size, columns, size)."""
    rows, columns = x.shape[2] // size, x.shape[3] // size
    whole = x[:, :, : rows * size, : columns * size]
    windows: Tensor = whole.unflatten(3, (columns, size)).unflatten(2, (rows, size))
    return windows


def _shift(size: int) -> int:
    """log2 of the number of values in a window."""
    if size < 1 or size & size - 1:
        raise InputError(
            "average pool", got=f"a window of {size}x{size}", wanted="a power of two: a shift divides",
            do="choose another image size or pool",
        )  # fmt: skip
    return 2 * (size.bit_length() - 1)
