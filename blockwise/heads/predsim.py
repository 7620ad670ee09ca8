"""``predsim``: prediction and similarity loss together: as published, of pooled output, and lean."""

from torch import Tensor

from blockwise.heads.head import ClassifierHead, Head, Shape, Targets, WeightedLosses, pool_to, pooled_shape
from blockwise.heads.pooled import PooledPredHead, decoder_size
from blockwise.heads.pred import DECODER_FEATURES, PredHead
from blockwise.heads.sim import SimilarityBranch, SimilarityMatching

BETA = 0.99
"""Weight of the similarity loss (Nøkland & Eidnes 2019, section 3)."""

LEAN_SIZE = 4
"""Side of the map that both branches of the lean head read."""


class _PredSim(Head):
    """(1 - beta) pred + beta sim.

    The prediction is made first: going back, the similarity branch, whose maps are large, then comes
    first, and no gradient of the block's output waits beside it.
    """

    minimum_batch = 2

    def __init__(self, pred: ClassifierHead, branch: SimilarityBranch, num_classes: int) -> None:
        super().__init__()
        self.pred, self.branch = pred, branch
        self.similarity = SimilarityMatching(num_classes)
        self.sum = WeightedLosses(BETA)

    def forward(self, h: Tensor, y: Targets) -> Tensor:
        """The loss, a scalar."""
        prediction = self.pred(h, y)
        return self.sum(self.similarity(self.branch(h), y), prediction)  # type: ignore[no-any-return]

    def logits(self, h: Tensor) -> Tensor:
        """Class scores (B, K)."""
        return self.pred.logits(h)


class PredSimHead(_PredSim):
    """As published: the similarity convolution reads the map at full resolution, before any pool."""

    def __init__(self, in_shape: Shape, num_classes: int, width: int = DECODER_FEATURES) -> None:
        super().__init__(PredHead(in_shape, num_classes, width), SimilarityBranch(in_shape), num_classes)


class PooledPredSimHead(_PredSim):
    """The same of the block's output, behind its max pool, with the prediction of ``pred-pooled``."""

    def __init__(self, in_shape: Shape, num_classes: int) -> None:
        super().__init__(PooledPredHead(in_shape, num_classes), SimilarityBranch(in_shape), num_classes)


class LeanPredSimHead(_PredSim):
    """Both branches behind one pool to at most 4x4, and a 1x1 similarity convolution.

    What the published head spends at full resolution (a 3x3 convolution and its activations) is
    gone; the weighting is the same.
    """

    def __init__(self, in_shape: Shape, num_classes: int) -> None:
        size = min(LEAN_SIZE, decoder_size(in_shape))
        shape = pooled_shape(in_shape, size)
        branch = SimilarityBranch(shape, kernel=1)
        super().__init__(PooledPredHead(shape, num_classes), branch, num_classes)
        self.pool = pool_to(in_shape, size)

    def forward(self, h: Tensor, y: Targets) -> Tensor:
        """The loss, a scalar."""
        return super().forward(self.pool(h), y)

    def logits(self, h: Tensor) -> Tensor:
        """Class scores (B, K)."""
        return super().logits(self.pool(h))
