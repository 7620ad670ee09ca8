"""Weights in float as integers, and back: what a training on integers may start from.

Where an activation follows without a bias between, a factor common to all weights of a layer changes no
prediction; NITI's steps do not ask for it either. So a layer's weights take the factor by which they lose
least. Weights that are whole units already keep theirs: integers come back as they were, to the bit.
"""

import torch
from torch import Tensor

TRIED = 41
"""Factors that are tried, from that by which nothing is clipped to :data:`CLIPPING` times as much."""
CLIPPING = 3.0


def whole(units: Tensor, low: int, high: int) -> bool:
    """Whether all values are integers of ``low`` .. ``high``."""
    return bool(((units == units.round()) & (units >= low) & (units <= high)).all())


def best_factor(units: Tensor, high: int) -> float:
    """By which float64 ``units`` become integers within +-``high`` with the least squared error.

    1 where all are 0.
    """
    largest = float(units.abs().max()) if units.numel() else 0.0
    if not largest:
        return 1.0
    factors: list[float] = [high / largest * f for f in torch.linspace(1.0, CLIPPING, TRIED).tolist()]
    return min(factors, key=lambda factor: _error(units, factor, high))


def _error(units: Tensor, factor: float, high: int) -> float:
    return float(((units * factor).round().clamp_(-high, high) / factor - units).square().sum())
