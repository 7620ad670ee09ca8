"""Zeroth-order steps on integers: int8 weights go along int8 directions, and by the sign of two losses.

After ElasticZO-INT8 (Sugiura & Matsutani 2025, arXiv 2501.04287): the estimated gradient is the sign of the
difference of two integer losses, -1, 0 or 1, times the direction. docs/integer-arithmetic.md defines it.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from blockwise.integer.rounding import bit_length, pseudo_stochastic
from blockwise.integer.tensor import INT8

MOST_RANGE = 63
"""So that half of the range of a weight is left to it at least."""


def forth(weights: Tensor, z: Tensor, largest: int) -> Tensor:
    """W + z. What is left of the range of 8 bits is for directions, so that each is taken back exactly."""
    return within(weights, largest) + z


def within(weights: Tensor, largest: int) -> Tensor:
    """Weights that no direction of -largest .. largest takes out of the range of 8 bits."""
    most = INT8.high - largest
    return weights.clamp(-most, most)


def back(weights: Tensor, z: Tensor) -> Tensor:
    """From W + z to W - z."""
    return (weights.to(torch.int16) - 2 * z.to(torch.int16)).to(torch.int8)


def restored(weights: Tensor, z: Tensor) -> Tensor:
    """From W - z to W."""
    return weights + z


def step_of(z: Tensor, difference: int, largest: int, mu: int) -> Tensor:
    """sign(difference) z, shifted so that the largest of all directions has mu bits; int32."""
    towards = z.to(torch.int32) * ((difference > 0) - (difference < 0))
    shift = bit_length(largest) - mu
    return pseudo_stochastic(towards, shift) if shift > 0 else towards


def updated(weights: Tensor, steps: Iterable[Tensor], largest: int) -> Tensor:
    """W less the step along each direction in turn, within what directions leave of the range."""
    for step in steps:
        weights = within(weights.to(torch.int32) - step, largest).to(torch.int8)
    return weights
