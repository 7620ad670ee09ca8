"""From int32 accumulators to few bits: shifts by s with nearest, pseudo-stochastic or stochastic rounding.

A rounding is a function of an int32 tensor within +-(2^31 - 1) and a shift 1 <= s <= 32. All three
work on magnitudes and give the sign back: with m = |x|, q = m >> s and f = m & (2^s - 1) the result
is sign(x) (q + up), where up is 0 or 1.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from blockwise.integer.tensor import Accumulator, Format, IntTensor
from blockwise.integer.xorshift import Xorshift32

Rounding = Callable[[Tensor, int], Tensor]


def bit_length(magnitude: int) -> int:
    """floor(log2 m) + 1, and 0 for 0; in C 32 - clz(m). ceil(log2 m) would fail at m = 2^k."""
    return magnitude.bit_length()


def largest_magnitude(x: Tensor) -> int:
    """max |x|, 0 of an empty tensor."""
    if not x.numel():
        return 0
    low, high = _in_memory_order(x).aminmax()
    return max(-int(low), int(high))


def largest_value(x: Tensor) -> int:
    """max x where that is above 0, else 0."""
    return max(int(_in_memory_order(x).max()), 0) if x.numel() else 0


def _in_memory_order(x: Tensor) -> Tensor:
    """A view without strides where there is one: reductions are up to 50 times as fast on it."""
    return x.movedim(1, -1) if x.ndim == 4 else x


def nearest(x: Tensor, shift: int) -> Tensor:
    """To the nearest integer, ties away from zero: up = bit s - 1 of m. Needs no random number.

    Computed as :func:`half_up` of x - (x < 0), in C two instructions more.
    """
    return half_up((x >> 31).add_(x), shift)


def half_up(x: Tensor, shift: int) -> Tensor:
    """floor(x / 2^s + 1/2): :func:`nearest` where x >= 0, and 0 or less elsewhere.

    Computed as (t + 1) >> 1 of t = x >> (s - 1); where s = 1 that might overflow.
    """
    if shift > 31:  # every magnitude is below one half
        return torch.zeros_like(x)
    twice = x >> shift - 1
    return twice.sub_(twice >> 1) if shift == 1 else twice.add_(1).bitwise_right_shift_(1)


def pseudo_stochastic(x: Tensor, shift: int) -> Tensor:
    """NITI's: the upper half of the dropped bits is the probability, the lower half the random number.

    h = s >> 1, p = f >> h, r = (f & (2^h - 1)) << (s & 1), up = p > r.
    """
    magnitude, half = x.abs(), shift >> 1
    dropped = magnitude & _mask(shift)
    random = (dropped & _mask(half)).bitwise_left_shift_(shift & 1)
    return _join(x, magnitude, shift, (dropped >> half) > random)


def stochastic(rng: Xorshift32) -> Rounding:
    """Up with probability f / 2^s: up = r < f, where r is the top s bits of the next output of ``rng``.

    One output for every element, in row-major order.
    """

    def rounding(x: Tensor, shift: int) -> Tensor:
        magnitude = x.abs()
        random = rng.bits(x.numel(), shift).view(x.shape).to(x.device)
        return _join(x, magnitude, shift, random < (magnitude & _mask(shift)))

    return rounding


def requantize(
    x: Accumulator, to: Format, rounding: Rounding = nearest, largest: int | None = None
) -> IntTensor:
    """Shift the accumulators until the largest has as many bits as the format, round and clip.

    s = bit length of the largest - bits of the format's largest. Where s < 1 nothing is shifted nor
    drawn. What is negative counts as 0 in an unsigned format: the ReLU is part of it. ``largest`` is that
    of the accumulators, where it is known already.
    """
    values = x.mantissa
    if largest is None:
        largest = largest_value(values) if to.low == 0 else largest_magnitude(values)
    shift = bit_length(largest) - to.magnitude_bits
    if shift > 0:
        values = rounding(values, shift).clamp_(to.low, to.high)
    elif to.low == 0:
        values = values.clamp_min(0)
    return IntTensor(values.to(torch.int8), x.exponent + max(shift, 0), to)


def _mask(bits: int) -> int:
    """The lower ``bits`` bits, as far as a magnitude has any."""
    return (1 << min(bits, 31)) - 1


def _join(x: Tensor, magnitude: Tensor, shift: int, up: Tensor) -> Tensor:
    """sign(x) ((magnitude >> shift) + up); overwrites ``magnitude``."""
    whole = magnitude.bitwise_right_shift_(shift) if shift < 32 else magnitude.zero_()
    whole += up
    return whole.mul_(x.sign())
