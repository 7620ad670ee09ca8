"""A small convolutional network for the tightest boards."""

from blockwise.models.parts import conv_unit, initialise, pooled_classifier
from blockwise.nets.chain import Chain, Unit

LAYERS = 3


def cnn(in_shape: tuple[int, ...], num_classes: int, width: int) -> Chain:
    """Three convolutions of width, 2 width and 4 width channels, pooled between, then a classifier."""
    units, channels, size = [], in_shape[0], min(in_shape[1:])
    for i in range(LAYERS):
        pool = i < LAYERS - 1 and size > 1
        units.append(Unit(f"conv{i + 1}", conv_unit(channels, width << i, pool=pool), i))
        channels, size = width << i, size // 2 if pool else size
    units.append(Unit("classifier", pooled_classifier(channels, num_classes), LAYERS - 1))
    chain = Chain("cnn", units, in_shape, num_classes, width)
    initialise(chain)
    return chain
