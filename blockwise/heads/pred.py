"""``pred``: the prediction loss of Nøkland & Eidnes 2019 (arXiv 1901.06656, section 2.3)."""

from torch import nn

from blockwise.heads.head import ClassifierHead, Shape, features, pool_to, pooled_shape
from blockwise.layers import named

DECODER_FEATURES = 2048
"""The paper's limit on the features that the classifier reads, for its CIFAR networks."""


def decoder_size(in_shape: Shape, limit: int = DECODER_FEATURES) -> int:
    """Side of the pooled map: halved until C x side x side is within ``limit``."""
    size = max(in_shape[1:], default=1)
    while size > 1 and features(pooled_shape(in_shape, size)) > limit:
        size = -(-size // 2)
    return size


class PredHead(ClassifierHead):
    """Average pool to at most 2048 features and a linear classifier that starts at zero."""

    def __init__(self, in_shape: Shape, num_classes: int) -> None:
        size = decoder_size(in_shape)
        classifier = nn.Linear(features(pooled_shape(in_shape, size)), num_classes)
        nn.init.zeros_(classifier.weight)
        pool = pool_to(in_shape, size)
        super().__init__(named(pool=pool, flatten=nn.Flatten(), linear=classifier))
