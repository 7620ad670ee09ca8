"""Levels that are whole numbers times a scale: what a board computes with, in place of a table."""

from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST = 1 << 17
"""Twice the largest number: codes have up to 16 bits."""
NEAR = 0.1
"""How far from a whole number twice the lowest one may come out: levels are rounded."""


@dataclass(frozen=True, eq=False)
class Even:
    """Code k means (``low`` + ``stride`` k) ``scale``, in float32; ``scale`` is (G,), one for each row."""

    low: int
    stride: int
    scale: Tensor


def even(levels: Tensor) -> Even | None:
    """The whole numbers and the scales that give ``levels`` float32 (G, n) to the bit; None if none do.

    The scale is read off a level whose number is a power of two, of which it is the exact share.
    """
    if levels.shape[1] < 2:
        return None
    wide = levels[0].double()
    distance = float(wide[-1] - wide[0]) / (len(wide) - 1)
    halves = 2 * float(wide[0]) / distance if distance else torch.inf
    if abs(halves) > LARGEST or abs(halves - round(halves)) > NEAR:
        return None
    stride = 1 + round(halves) % 2
    low = round(halves) * stride // 2
    numbers = low + stride * torch.arange(levels.shape[1])
    powers = (numbers != 0) & (numbers.abs() & numbers.abs() - 1 == 0)
    if not powers.any():
        return None
    at = int(powers.nonzero()[0])
    scale = levels[:, at] / numbers[at]
    return Even(low, stride, scale) if torch.equal(numbers.float() * scale[:, None], levels) else None
