"""Powers of two: the nearest in the linear domain, found in the bits of a float.

A logarithm that is rounded changes at sqrt(2) 2^k, which is not halfway between 2^k and 2^(k+1), and
has rounding errors of its own.
"""

import math

import torch
from torch import Tensor

_INTEGERS = {16: torch.int16, 32: torch.int32, 64: torch.int64}


def nearest_power(x: Tensor) -> Tensor:
    """sign(x) 2^k for the k with the smallest |x - 2^k|; halfway, at 1.5 2^k, the larger. 0 stays 0.

    Half of the lowest exponent's worth, added to the mantissa, carries into the exponent from 1.5 on.
    """
    info = torch.finfo(x.dtype)
    mantissa_bits = round(-math.log2(info.eps))
    bits = x.view(_INTEGERS[info.bits]) + (1 << mantissa_bits - 1)
    return bits.bitwise_and_(-1 << mantissa_bits).view(x.dtype)


def top_power(largest: Tensor, count: int) -> Tensor:
    """The power nearest to ``largest``, within what floats have for the first of ``count`` downwards.

    It is 2^floor(log2(4/3 largest)): a largest magnitude is never above 1.5 of it, nor below 0.75.
    """
    info = torch.finfo(largest.dtype)
    last = 2.0 ** (math.frexp(info.max)[1] - 1)
    return nearest_power(largest).clamp(info.tiny * 2.0 ** (count - 1), last)


def magnitudes(x: Tensor, count: int) -> Tensor:
    """The nearest of 1, 1/2, .. 2^(1 - count) to |x|."""
    return nearest_power(x).abs_().clamp_(2.0 ** (1 - count), 1)


def below_half(power: float, dtype: torch.dtype) -> float:
    """The last float that is nearer to 0 than to ``power``, a power of two."""
    return power / 2 * (1 - torch.finfo(dtype).eps / 2)


def halvings(x: Tensor) -> Tensor:
    """k of magnitudes 2^-k, int64."""
    return 1 - torch.frexp(x.double())[1].long()  # frexp's mantissa is 1/2


def table(count: int) -> list[float]:
    """1, 1/2, .. 2^(1 - count)."""
    return [2.0**-k for k in range(count)]
