"""``pred-pooled``: a linear classifier of the block's pooled output, with square windows.

Not the published head, which reads the map before the block's max pool (:mod:`blockwise.heads.pred`): as
cheap as ``gap`` in activations, and its windows are powers of two, so that integers can divide by shifts.
"""

from torch import nn

from blockwise.heads.head import ClassifierHead, Shape, features, pool_to, pooled_shape
from blockwise.heads.pred import DECODER_FEATURES
from blockwise.layers.named import named


def decoder_size(in_shape: Shape, limit: int = DECODER_FEATURES) -> int:
    """Side of the pooled map: halved until C x side x side is within ``limit``."""
    size = max(in_shape[1:], default=1)
    while size > 1 and features(pooled_shape(in_shape, size)) > limit:
        size = -(-size // 2)
    return size


class PooledPredHead(ClassifierHead):
    """Average pool to at most 2048 features and a linear classifier that starts at zero."""

    def __init__(self, in_shape: Shape, num_classes: int) -> None:
        size = decoder_size(in_shape)
        classifier = nn.Linear(features(pooled_shape(in_shape, size)), num_classes)
        nn.init.zeros_(classifier.weight)
        pool = pool_to(in_shape, size)
        super().__init__(named(pool=pool, flatten=nn.Flatten(), linear=classifier))
