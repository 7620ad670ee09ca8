"""``pred``: the prediction loss of Nøkland & Eidnes 2019 (arXiv 1901.06656, section 2.3), as published."""

import math

from torch import nn

from blockwise.heads.head import ClassifierHead, Shape
from blockwise.layers.named import named

DECODER_FEATURES = 2048
"""Most features that the classifier reads: the published limit for VGG8B on CIFAR-10."""


def decoder_windows(in_shape: Shape, limit: int = DECODER_FEATURES) -> tuple[int, ...]:
    """Sides of the pooling windows: doubled in turn until C x h' x w' (or C x l') is within ``limit``.

    The height goes first, so that a map may end twice as wide as high: 256 x 32 x 32 becomes 256 x 2 x 4.
    """
    channels, *sides = in_shape
    windows = [1] * len(sides)

    def left(axis: int) -> int:
        return -(-sides[axis] // windows[axis])

    def places() -> int:
        return math.prod(map(left, range(len(sides))))

    while channels * places() > limit and places() > 1:
        for axis in range(len(sides)):
            if channels * places() > limit and left(axis) > 1:
                windows[axis] *= 2
    return tuple(windows)


class PredHead(ClassifierHead):
    """Average pool to at most ``width`` features and a linear classifier whose weights start at zero."""

    def __init__(self, in_shape: Shape, num_classes: int, width: int = DECODER_FEATURES) -> None:
        pool, count = (nn.Identity(), in_shape[0]) if len(in_shape) == 1 else _pool(in_shape, width)
        classifier = nn.Linear(count, num_classes)
        nn.init.zeros_(classifier.weight)
        super().__init__(named(pool=pool, flatten=nn.Flatten(), linear=classifier))


AVERAGES: dict[int, type[nn.Module]] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
"""By the dimensions of space."""


def _pool(in_shape: Shape, limit: int) -> tuple[nn.Module, int]:
    """The pool and the features it leaves. Where a window does not divide a side, zeros are put around."""
    channels, *sides = in_shape
    windows = decoder_windows(in_shape, limit)
    pooled = [-(-side // window) for side, window in zip(sides, windows, strict=True)]
    count = channels * math.prod(pooled)
    if set(windows) == {1}:
        return nn.Identity(), count
    padding = tuple(w * (p - s // w) // 2 for w, p, s in zip(windows, pooled, sides, strict=True))
    return AVERAGES[len(sides)](windows, padding=padding), count
