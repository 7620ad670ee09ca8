"""``gap``: global average pool and a linear classifier, the smallest head there is."""

from torch import Tensor, nn

from blockwise.heads.head import CrossEntropy, Head, Shape, pool_to
from blockwise.layers import named


class GAPHead(Head):
    """C x K + K parameters for C channels and K classes."""

    def __init__(self, in_shape: Shape, num_classes: int) -> None:
        super().__init__()
        classifier = nn.Linear(in_shape[0], num_classes)
        pool = pool_to(in_shape, 1)
        self.classify = named(pool=pool, flatten=nn.Flatten(), linear=classifier)
        self.loss = CrossEntropy()

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        """The loss, a scalar."""
        return self.loss(self.classify(h), y)  # type: ignore[no-any-return]

    def logits(self, h: Tensor) -> Tensor:
        """Class scores (B, K)."""
        return self.classify(h)  # type: ignore[no-any-return]
