"""A trained activation quantizer as what it does to a float: which level it gives from which value on."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

FURTHEST = 2.0**126
"""Either way; beyond it a quantizer may overflow."""
SIGN = 0x7FFFFFFF


@dataclass(frozen=True, eq=False)
class Staircase:
    """Level ``levels[i]`` of all values from ``thresholds[i - 1]`` to below ``thresholds[i]``, float32.

    There is one level more than thresholds, both are ascending.
    """

    thresholds: Tensor
    levels: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """The levels of ``x``, same shape."""
        return self.levels[torch.bucketize(x, self.thresholds, right=True)]

    def is_that_of(self, quantize: Callable[[Tensor], Tensor]) -> bool:
        """Whether ``quantize``, which never falls, gives every float32 the same level.

        It does if it does so at each threshold and at the last float before it.
        """
        before = torch.nextafter(self.thresholds, torch.tensor(-torch.inf))
        found = torch.equal(quantize(self.thresholds), self.levels[1:])
        return found and torch.equal(quantize(before), self.levels[:-1])


def staircase(quantize: Callable[[Tensor], Tensor]) -> Staircase:
    """That of ``quantize``, which takes a row (1, n) and never falls; every threshold to the last bit.

    Intervals with two levels at their ends are halved, in the order of floats, until they have no middle.
    """

    def at(places: Tensor) -> Tensor:
        with torch.no_grad():
            return quantize(_floats(places)[None])[0].float()

    low, high = (_places(torch.tensor([end])) for end in (-FURTHEST, FURTHEST))
    below, above = at(low), at(high)
    while bool((high - low > 1).any()):
        middle = torch.div(low + high, 2, rounding_mode="floor")
        value = at(middle)
        low, high = torch.cat([low, middle]), torch.cat([middle, high])
        below, above = torch.cat([below, value]), torch.cat([value, above])
        kept = below != above
        low, high, below, above = low[kept], high[kept], below[kept], above[kept]
    order = high.argsort()
    first = at(_places(torch.tensor([-FURTHEST])))
    return Staircase(_floats(high[order]), torch.cat([first, above[order]]))


def _places(x: Tensor) -> Tensor:
    """The numbers of floats in their order, int64: that of 0 is 0."""
    bits = x.float().view(torch.int32)
    return (bits ^ ((bits >> 31) & SIGN)).long()


def _floats(places: Tensor) -> Tensor:
    """The floats of these numbers."""
    bits = places.int()
    return (bits ^ ((bits >> 31) & SIGN)).view(torch.float32)
