"""The weight update of NITI (Wang et al. 2020, arXiv 2009.13108), and its discrete form for 4 bits.

The gradient's exponent is ignored: its accumulators are rounded to the bit length mu, so that the largest
moves its weight by about 2^mu units, whatever the gradient's scale. mu takes the place of a learning rate.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor

from blockwise.integer.rounding import Rounding, bit_length, largest_magnitude, pseudo_stochastic
from blockwise.integer.tensor import Accumulator, IntTensor

SMALLEST_MU, LARGEST_MU = -1, 7
"""With mu = -1 an accumulator of 31 bits is shifted by 32, the most that a 32-bit random number decides."""


@dataclass(frozen=True)
class BitSchedule:
    """mu by the part of the training that is done: ``changes`` are (from which part, mu), ascending.

    The default is NITI's: 5, then 4 from a half, then 3 from three quarters.
    """

    changes: tuple[tuple[Fraction, int], ...] = (
        (Fraction(0), 5),
        (Fraction(1, 2), 4),
        (Fraction(3, 4), 3),
    )

    def __post_init__(self) -> None:
        starts = [start for start, _ in self.changes]
        if not starts or starts[0] != 0 or sorted(set(starts)) != starts:
            raise ValueError(f"changes: got {self.changes}, wanted ascending parts, the first 0")
        if not all(SMALLEST_MU <= mu <= LARGEST_MU for _, mu in self.changes):
            raise ValueError(f"changes: got {self.changes}, wanted mu of {SMALLEST_MU} .. {LARGEST_MU}")

    def at(self, done: int, total: int) -> int:
        """mu when ``done`` of ``total`` epochs (or steps) are behind; compared by cross-multiplication."""
        return [mu for start, mu in self.changes if start.numerator * total <= done * start.denominator][-1]

    def lowered(self, bits: int) -> "BitSchedule":
        """The same with every mu less by ``bits``: by 4 for states of 4 bits."""
        return BitSchedule(tuple((start, mu - bits) for start, mu in self.changes))

    def starting_at(self, mu: int) -> "BitSchedule":
        """The same from another first mu."""
        return self.lowered(self.changes[0][1] - mu)


NITI_SCHEDULE = BitSchedule()
FIRST_MU = NITI_SCHEDULE.at(0, 1)
STATE_BITS = 4
"""A state is 2^4 units of an 8-bit weight: mu counts so many bits less."""
STATE_SCHEDULE = NITI_SCHEDULE.lowered(STATE_BITS)
"""1, 0, -1."""


def gradient_step(gradient: Accumulator, mu: int, rounding: Rounding) -> Tensor:
    """The int32 accumulators, shifted by k = (bit length of the largest) - mu and rounded: at most 2^mu.

    Where k < 1, or all are 0, nothing is shifted nor drawn.
    """
    length = bit_length(largest_magnitude(gradient.mantissa))
    if length == 0 or length <= mu:
        return gradient.mantissa
    return rounding(gradient.mantissa, length - mu)


def update(
    weights: IntTensor, gradient: Accumulator, mu: int, rounding: Rounding = pseudo_stochastic
) -> IntTensor:
    """W <- clip(W - g), g from :func:`gradient_step`; the exponent stays.

    For int8 weights with pseudo-stochastic rounding this is NITI's update. For int4 weights with
    stochastic rounding these are transitions between discrete states: with G the accumulator,
    kappa = |G| >> k states for sure and one more with probability (|G| & (2^k - 1)) / 2^k, in the
    direction of -G (Deng et al. 2018, arXiv 1705.09283, with the probability linear).
    """
    low, high = weights.format.low, weights.format.high
    moved = (weights.mantissa - gradient_step(gradient, mu, rounding)).clamp_(low, high)
    return replace(weights, mantissa=moved.to(torch.int8))
