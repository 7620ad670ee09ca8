"""Element by element: ReLU with its mask, and the sum of two tensors of different exponents."""

from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from blockwise.integer.rounding import half_up, nearest, requantize
from blockwise.integer.tensor import Accumulator, Format, IntTensor, shared

Numbers = TypeVar("Numbers", bound=IntTensor | Accumulator)

WIDEST_SPAN = 23
"""Mantissas are shifted left by no more: 2 (127 x 2^23) fits 31 bits."""


def relu(x: Accumulator, to: Format) -> tuple[IntTensor, Tensor]:
    """max(x, 0), requantized, and where x > 0 (bool): a value of 0 lets no error through.

    A value that is positive before requantization lets its error through even where it is rounded to 0.
    """
    return requantize(x, to.behind_relu, half_up), x.mantissa > 0


def relu_gradient(error: Numbers, mask: Tensor) -> Numbers:
    """The error where the mask is set, 0 elsewhere."""
    return replace(error, mantissa=error.mantissa * mask.view(torch.int8))


def add(a: IntTensor, b: IntTensor) -> Accumulator:
    """a + b at the smaller of their exponents: the other mantissa is shifted left.

    Where the exponents are more than 23 apart, the sum is at the larger one less 23, and the mantissa of
    the smaller is rounded to it, ties away from zero.
    """
    first, second = shared(a.exponent), shared(b.exponent)
    exponent = max(min(first, second), max(first, second) - WIDEST_SPAN)
    return Accumulator(_at(a, exponent) + _at(b, exponent), exponent)


def _at(x: IntTensor, exponent: int) -> Tensor:
    """The mantissa at another exponent, int32."""
    mantissa, own = x.mantissa.to(torch.int32), shared(x.exponent)
    if own >= exponent:
        return mantissa << own - exponent
    return nearest(mantissa, min(exponent - own, 32))
