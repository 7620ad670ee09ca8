"""What every local head provides, and the layers that heads share."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

Shape = tuple[int, ...]


class Taught(NamedTuple):
    """Labels (B,), and what a teacher says beside them: logits (B, K), of which no gradient comes back.

    They are softened by ``temperature``, and have ``weight`` of the loss.
    """

    labels: Tensor
    answer: Tensor
    temperature: float
    weight: float


Targets = Tensor | Taught
"""What a head learns by: labels (B,), alone or beside an answer."""


class Head(nn.Module, ABC):
    """Gives a block its loss. Called with the block's output (B, *in_shape) and labels (B,).

    Beside the labels there may be an answer, by which heads with a cross entropy learn, too.
    """

    minimum_batch = 1
    """Smallest batch at which the loss says anything."""

    @abstractmethod
    def forward(self, h: Tensor, y: Targets) -> Tensor:
        """The loss, a scalar."""

    def logits(self, h: Tensor) -> Tensor | None:
        """Class scores (B, num_classes), or None if the head does not classify."""
        return None


class LogitsLoss(nn.Module):
    """Mean cross entropy of logits (B, K) against labels (B,): a layer, so that it has its costs.

    Beside an answer of weight w it is (1 - w) H(y, p) + w T^2 KL(q(T) || p(T)), where p(T) is the softmax
    of logits / T and q that of the answer (Hinton et al. 2015, arXiv 1503.02531): by T^2 the gradient is
    about as large at any temperature.
    """

    op_kind = "cross_entropy"

    def forward(self, logits: Tensor, y: Targets) -> Tensor:
        """The loss, a scalar."""
        if not isinstance(y, Taught):
            return F.cross_entropy(logits, y)
        own, wanted = (F.log_softmax(x / y.temperature, 1) for x in (logits, y.answer))
        soft = F.kl_div(own, wanted, reduction="batchmean", log_target=True)
        return (1 - y.weight) * F.cross_entropy(logits, y.labels) + y.weight * y.temperature**2 * soft


class ClassifierHead(Head):
    """A head that is a classifier: its loss is the cross entropy of its logits."""

    def __init__(self, classify: nn.Module) -> None:
        super().__init__()
        self.classify = classify
        self.loss = LogitsLoss()

    def forward(self, h: Tensor, y: Targets) -> Tensor:
        """The loss, a scalar."""
        return self.loss(self.classify(h), y)  # type: ignore[no-any-return]

    def logits(self, h: Tensor) -> Tensor:
        """Class scores (B, K)."""
        return self.classify(h)  # type: ignore[no-any-return]


class WeightedLosses(nn.Module):
    """beta a + (1 - beta) b of two losses."""

    op_kind = "weighted_sum"

    def __init__(self, beta: float) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """The sum, a scalar."""
        return self.beta * a + (1 - self.beta) * b


def features(shape: Shape) -> int:
    """Elements of one sample."""
    return math.prod(shape)


POOLS: dict[int, Callable[[Any], nn.Module]] = {
    1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d,
}  # fmt: skip
"""By the dimensions of space."""


def pool_to(in_shape: Shape, size: int) -> nn.Module:
    """Average pool to at most ``size`` places a side; nothing to do for smaller maps and flat features."""
    sides = pooled_shape(in_shape, size)[1:]
    if sides == in_shape[1:]:
        return nn.Identity()
    return POOLS[len(sides)](sides)


def pooled_shape(in_shape: Shape, size: int) -> Shape:
    """Shape behind :func:`pool_to`."""
    return (in_shape[0], *(min(size, side) for side in in_shape[1:]))
