"""``predsim``: prediction and similarity loss together, as published and in a lean form."""

from torch import Tensor

from blockwise.heads.head import Head, Shape, WeightedSum, pool_to, pooled_shape
from blockwise.heads.pred import PredHead, decoder_size
from blockwise.heads.sim import SimilarityBranch, SimilarityLoss

BETA = 0.99
"""Weight of the similarity loss (Nøkland & Eidnes 2019, section 3)."""

LEAN_SIZE = 4
"""Side of the map that both branches of the lean head read."""


class PredSimHead(Head):
    """(1 - beta) pred + beta sim with the similarity convolution at full resolution, as published.

    The network's own output keeps its cross entropy unscaled (the paper scales that one, too).
    """

    minimum_batch = 2

    def __init__(self, in_shape: Shape, num_classes: int) -> None:
        super().__init__()
        self.pred = PredHead(in_shape, num_classes)
        self.branch = SimilarityBranch(in_shape)
        self.similarity = SimilarityLoss(num_classes)
        self.sum = WeightedSum(BETA)

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        """The loss, a scalar."""
        return self.sum(self.similarity(self.branch(h), y), self.pred(h, y))  # type: ignore[no-any-return]

    def logits(self, h: Tensor) -> Tensor:
        """Class scores (B, K)."""
        return self.pred.logits(h)


class LeanPredSimHead(Head):
    """Both branches behind one pool to at most 4x4, and a 1x1 similarity convolution.

    What the published head spends at full resolution (a 3x3 convolution and its activations) is
    gone; the weighting is the same.
    """

    minimum_batch = 2

    def __init__(self, in_shape: Shape, num_classes: int) -> None:
        super().__init__()
        size = min(LEAN_SIZE, decoder_size(in_shape))
        shape = pooled_shape(in_shape, size)
        self.pool = pool_to(in_shape, size)
        self.pred = PredHead(shape, num_classes)
        self.branch = SimilarityBranch(shape, kernel=1)
        self.similarity = SimilarityLoss(num_classes)
        self.sum = WeightedSum(BETA)

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        """The loss, a scalar."""
        pooled = self.pool(h)
        return self.sum(self.similarity(self.branch(pooled), y), self.pred(pooled, y))  # type: ignore[no-any-return]

    def logits(self, h: Tensor) -> Tensor:
        """Class scores (B, K)."""
        return self.pred.logits(self.pool(h))
