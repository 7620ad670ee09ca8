"""Images each for itself, many at a time: what a batch of one computes, for every image of a batch.

Sums are shifted by the largest of their batch, so what an image comes to depends on those beside it. A
board that predicts sees one image. Here every image is shifted by its own largest.
"""

import torch
from torch import Tensor

from blockwise.integer.tensor import Accumulator, Format, IntTensor

LONGEST = 31
"""Bits of a magnitude."""


def requantize_each(x: Accumulator, to: Format) -> IntTensor:
    """:func:`blockwise.integer.rounding.requantize` to the nearest, of each image (B, ...) as if alone.

    Every image then has an exponent of its own: values can be compared within an image.
    """
    values = x.mantissa
    magnitudes = values.clamp_min(0) if to.low == 0 else values.abs()
    within = tuple(range(1, values.ndim))
    largest = magnitudes.amax(within) if values.numel() else values.new_zeros(len(values))
    shift = (bit_lengths(largest) - to.magnitude_bits).view(-1, *[1] * (values.ndim - 1))
    if to.low:  # ties away from zero
        values = values + (values >> LONGEST)
    twice = values >> (shift - 1).clamp_min(0)
    shifted = twice - (twice >> 1)  # (twice + 1) >> 1, which cannot overflow
    found = torch.where(shift > 0, shifted, x.mantissa).clamp_(to.low, to.high)
    return IntTensor(found.to(torch.int8), x.exponent + shift.view(-1).clamp_min(0), to)


def bit_lengths(magnitudes: Tensor) -> Tensor:
    """floor(log2 m) + 1 of each, 0 of 0; without a float."""
    places = torch.arange(LONGEST, dtype=torch.int32, device=magnitudes.device)
    return (magnitudes[:, None] >> places > 0).sum(1, dtype=torch.int32)
