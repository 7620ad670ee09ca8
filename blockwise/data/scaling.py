"""Measured values to 8 bits, by constants of the training set that go where the network goes."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

LEVELS = 256
"""Grey levels of a uint8 channel; level 255 is 1.0 in the 0..1 scale."""
COVERED = 0.999
"""Share of a channel's training values that lie between level 0 and the last.

A few extremes would otherwise set the step of all: in the recordings of ``watch`` one rotation is five times
as fast as all but a thousandth. Of a small set nothing is left out.
"""
FLOAT32_STEP = 2.0**-20
"""Of a value: eight times what floats of 32 bits tell apart."""
PIECE = 4096
"""Samples at a time: their values are held in 64 bits."""


def _above(low: float, high: float) -> float:
    """The end of a range; floats of 32 bits tell it from its beginning."""
    return high if high > low else low + max(1.0, abs(low) * FLOAT32_STEP)


@dataclass(frozen=True)
class Scaling:
    """Per channel the value that becomes level 0 and that which becomes 255; those beyond are clipped.

    A board computes ``round((value - low) / (high - low) * 255)`` of what its sensor gives.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def of(cls, values: Tensor) -> Self:
        """For training values float32 (N, C, ...). A channel of one value has a range as well, lest a board
        divide by zero: that value becomes level 0."""
        flat = values.transpose(0, 1).reshape(values.shape[1], -1).numpy()
        rest = (1 - COVERED) / 2
        low = np.quantile(flat, rest, axis=1, method="lower")
        high = np.quantile(flat, 1 - rest, axis=1, method="higher")
        return cls(tuple(low.tolist()), tuple(map(_above, low.tolist(), high.tolist())))

    @classmethod
    def of_bytes(cls, channels: int) -> Self:
        """That of bytes, which are values themselves."""
        return cls((0.0,) * channels, (float(LEVELS - 1),) * channels)

    def values(self, levels: Tensor) -> Tensor:
        """What levels float32 (N, C, ...), whole or not, stand for."""
        low, step = self._ends(levels)
        return low + step * levels

    def levels(self, values: Tensor) -> Tensor:
        """Values float32 (N, C, ...) in levels, neither rounded nor clipped."""
        low, step = self._ends(values)
        return (values - low) / step

    def _ends(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Level 0 of each channel, and how far the next one is; 1 without a range."""
        axes = (1, -1, *(1,) * (like.ndim - 2))
        low, high = (torch.tensor(e, dtype=like.dtype).view(axes) for e in (self.low, self.high))
        step = torch.where(high > low, high - low, 1.0) / (LEVELS - 1)
        return low.to(like.device, non_blocking=True), step.to(like.device, non_blocking=True)

    def __call__(self, values: Tensor) -> Tensor:
        """uint8 of values (N, C, ...), floats of any width; a channel without a range becomes 0."""
        axes = (1, -1, *(1,) * (values.ndim - 2))
        low, high = (torch.tensor(ends, dtype=torch.float64).view(axes) for ends in (self.low, self.high))
        width = torch.where(high > low, high - low, 1.0)
        levels = torch.empty(values.shape, dtype=torch.uint8)
        for first in range(0, len(values), PIECE):
            scaled = (values[first : first + PIECE].double() - low) / width * (LEVELS - 1)
            levels[first : first + PIECE] = scaled.round_().clamp_(0, LEVELS - 1)
        return levels
