"""The arithmetic of NITRO-D (Pirillo et al. 2024, arXiv 2407.11698): no exponents, int32 weights.

Sums of products are those of :mod:`blockwise.integer.ops` on plain tensors. All divisions truncate
towards zero, as C's do: a floor would move every small negative gradient by a whole unit.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

LIMIT = 127
CENTRE = 36
"""Mean of the four segments of the activation before centring: (-31 - 15 + 63 + 127) / 4."""
ONE_HOT = 32
PER_PRODUCT = 1 << 8
"""The scale factor for each product that a sum is made of."""


def conv_scale(channels: int, kernel: int) -> int:
    """The scale factor of a convolution: 2^8 k^2 C_in."""
    return PER_PRODUCT * kernel * kernel * channels


def linear_scale(features: int) -> int:
    """The scale factor of a linear layer: 2^8 x its inputs."""
    return PER_PRODUCT * features


def scale(sums: Tensor, factor: int) -> Tensor:
    """clip(trunc(z / factor), +-127), int8. Going back the error passes unchanged."""
    return _quotient(sums, factor).clamp_(-LIMIT, LIMIT).to(torch.int8)


def relu(x: Tensor) -> Tensor:
    """max(x, 0) + trunc(min(x, 0) / 4) - 36 of int8 x within +-127: int8, -67 .. 91."""
    return torch.where(x < 0, -(-x >> 2), x) - CENTRE


def relu_gradient(error: Tensor, x: Tensor) -> Tensor:
    """The error where 0 <= x < 127, trunc(error / 4) where x < 0, and 0 where x is at its limit 127."""
    passed = torch.where(x < 0, _quotient(error, 4), error)
    return passed.masked_fill_(x == LIMIT, 0)


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Targets (B, classes): 32 for the label, else 0; int8."""
    targets = torch.zeros(len(labels), classes, dtype=torch.int8, device=labels.device)
    return targets.scatter_(1, labels.view(-1, 1), ONE_HOT)


def output_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """The gradient of half the squared error, clip(y - target, +-127), int8."""
    return (outputs.to(torch.int16) - targets).clamp_(-LIMIT, LIMIT).to(torch.int8)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Half the sum of squares of each image, for monitoring, rounded down; int32 (B,)."""
    difference = outputs.to(torch.int32) - targets
    return (difference * difference).sum(1, dtype=torch.int32) >> 1


@dataclass(frozen=True)
class IntegerSGD:
    """W <- W - trunc(sum G / (inverse_rate x amplification)) - trunc(W / inverse_decay).

    ``amplification`` is 64 x classes for the layers of a block and 1 for its head, whose gradient has not
    passed through a head; an ``inverse_decay`` of 0 means none.
    """

    inverse_rate: int = 512
    amplification: int = 1
    inverse_decay: int = 0

    def update(self, weights: Tensor, gradient: Tensor) -> Tensor:
        """The int32 weights after one step by int32 ``gradient``, the sum over the batch."""
        step = _quotient(gradient, self.inverse_rate * self.amplification)
        if self.inverse_decay:
            step += _quotient(weights, self.inverse_decay)
        return weights - step

    def on_plateau(self) -> "IntegerSGD":
        """A third of the rate."""
        return IntegerSGD(3 * self.inverse_rate, self.amplification, self.inverse_decay)


def _quotient(x: Tensor, divisor: int) -> Tensor:
    """x / divisor, truncated towards zero."""
    return torch.div(x, divisor, rounding_mode="trunc")
