"""Pooling over windows side by side; what lies beyond the last whole window of a side is dropped.

A window has a side for every dimension of space. Of a mean over a power of two a shift is the division.
"""

from dataclasses import replace
from itertools import product
from math import prod

import torch
from torch import Size, Tensor

from blockwise.integer.accumulate import added_in_16_bits
from blockwise.integer.pointwise import Numbers
from blockwise.integer.rounding import nearest
from blockwise.integer.tensor import INT8, IntTensor, behind

Window = tuple[int, ...]
SQUARE: Window = (2, 2)


def max_pool(x: IntTensor, window: Window = SQUARE) -> tuple[IntTensor, Tensor]:
    """The largest of each window, and its place (uint8): row by row, the first of equal ones."""
    first, *others = _corners(x.mantissa, window)
    if window == SQUARE:
        largest, which = _largest_of_four(first, *others)
        return replace(x, mantissa=largest), which
    largest, which = first, torch.zeros_like(first, dtype=torch.uint8)
    for place, corner in enumerate(others, 1):
        which = which.masked_fill_(corner > largest, place)
        largest = torch.maximum(largest, corner)
    return replace(x, mantissa=largest), which


def _largest_of_four(c0: Tensor, c1: Tensor, c2: Tensor, c3: Tensor) -> tuple[Tensor, Tensor]:
    """Places 0 1 over 2 3."""
    above, below = torch.maximum(c0, c1), torch.maximum(c2, c3)
    right_above, right_below, lower = (
        (b > a).view(torch.uint8) for a, b in ((c0, c1), (c2, c3), (above, below))
    )
    which = (right_below + 2 - right_above).mul_(lower).add_(right_above)  # torch.where is ten times as slow
    return torch.maximum(above, below), which


def max_pool_gradient(
    error: Numbers, which: Tensor, in_shape: Size | tuple[int, ...], window: Window = SQUARE
) -> Numbers:
    """The error where the largest was, 0 elsewhere."""
    out = _zeros(error.mantissa, in_shape)
    for place, corner in enumerate(_corners(out, window)):
        here = which == torch.full_like(which, place)  # eight times as fast as with a number
        torch.mul(error.mantissa, here.view(torch.int8), out=corner)
    return replace(error, mantissa=out)


def avg_pool(x: IntTensor, window: Window) -> IntTensor:
    """The mean of each window: their int32 sum, divided.

    Rounded to the nearest integer, ties away from zero; the exponent stays.
    """
    return replace(x, mantissa=_divided(_sums(x, window), prod(window), 0).to(torch.int8))


def wide_avg_pool(x: IntTensor, window: Window) -> IntTensor:
    """:func:`avg_pool` as int8, whatever the format: narrower mantissas gain fractional bits.

    A format of M magnitude bits leaves 7 - M, which are taken off the exponent.
    """
    spare = INT8.magnitude_bits - x.format.magnitude_bits
    mean = _divided(_sums(x, window), prod(window), spare)
    return IntTensor(mean.to(torch.int8), x.exponent - spare, INT8)


def avg_pool_gradient(error: Numbers, window: Window, in_shape: Size | tuple[int, ...]) -> Numbers:
    """Every input's share of its window's error: the same mantissa, log2 of the window off the exponent.

    Of a window that is no power of two the logarithm is rounded down.
    """
    out = _zeros(error.mantissa, in_shape)
    _windows(out, window).copy_(error.mantissa[behind((slice(None), None) * len(window))])
    return replace(error, mantissa=out, exponent=error.exponent - (prod(window).bit_length() - 1))


def _zeros(error: Tensor, in_shape: Size | tuple[int, ...]) -> Tensor:
    """Channels last in memory, as convolutions want their maps."""
    layout = torch.channels_last if len(in_shape) == 4 else torch.contiguous_format
    out = torch.empty(tuple(in_shape), dtype=error.dtype, device=error.device, memory_format=layout)
    return out.zero_()


def _sums(x: IntTensor, window: Window) -> Tensor:
    """Of each window, int32 (B, C, ...)."""
    found, inside = _windows(x.mantissa, window), range(4, 2 + 2 * len(window), 2)
    rows = found.unbind(3)
    if len(rows) * INT8.high > torch.iinfo(torch.int16).max:
        return found.sum((3, *(dim + 1 for dim in inside)), dtype=torch.int32)
    added = added_in_16_bits(rows)
    return added.sum(tuple(inside), dtype=torch.int32) if inside else added.to(torch.int32)


def _divided(sums: Tensor, count: int, spare: int) -> Tensor:
    """sums 2^spare / count to the nearest, ties away from zero."""
    if count & count - 1:
        magnitude = ((sums.abs() << spare) + count // 2).div_(count, rounding_mode="floor")
        return magnitude.mul_(sums.sign())
    shift = count.bit_length() - 1 - spare
    return nearest(sums, shift) if shift > 0 else sums << -shift


def _corners(x: Tensor, window: Window) -> list[Tensor]:
    """The places of all windows in their order, as views (B, C, ...)."""
    whole = _whole(x, window)
    return [
        whole[behind((slice(at, None, side) for at, side in zip(place, window, strict=True)))]
        for place in product(*map(range, window))
    ]


def _windows(x: Tensor, window: Window) -> Tensor:
    """A view (B, C, rows, side, columns, side)."""
    found = _whole(x, window)
    for dim, side in reversed(list(enumerate(window, 2))):
        found = found.unflatten(dim, (x.shape[dim] // side, side))
    return found


def _whole(x: Tensor, window: Window) -> Tensor:
    """What whole windows cover."""
    sides = zip(x.shape[2:], window, strict=True)
    return x[behind((slice(0, size // side * side) for size, side in sides))]
