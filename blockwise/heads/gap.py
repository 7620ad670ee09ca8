"""``gap``: global average pool and a linear classifier, the smallest head there is."""

from torch import nn

from blockwise.heads.head import ClassifierHead, Shape, pool_to
from blockwise.layers.named import named


class GAPHead(ClassifierHead):
    """C x K + K parameters for C channels and K classes."""

    def __init__(self, in_shape: Shape, num_classes: int) -> None:
        classifier = nn.Linear(in_shape[0], num_classes)
        pool = pool_to(in_shape, 1)
        super().__init__(named(pool=pool, flatten=nn.Flatten(), linear=classifier))
