"""A convolutional network for signals: windows of a few channels, as of an accelerometer."""

from torch import nn

from blockwise.layers.named import named
from blockwise.models.parts import initialise
from blockwise.nets.chain import Chain, Unit

CHANNELS = (1, 2, 4, 4)
"""Of each convolution, as multiples of the width."""
KERNEL = 5


def cnn1d(in_shape: tuple[int, ...], num_classes: int, width: int) -> Chain:
    """Four convolutions over 5 samples, halved in length between, a mean over time and a linear layer."""
    units: list[Unit] = []
    channels, length = in_shape
    for i, factor in enumerate(CHANNELS):
        pool = i < len(CHANNELS) - 1 and length > 1
        units.append(Unit(f"conv{i + 1}", _unit(channels, factor * width, pool=pool), i))
        channels, length = factor * width, length // 2 if pool else length
    linear = nn.Linear(channels, num_classes)
    classifier = named(pool=nn.AdaptiveAvgPool1d(1), flatten=nn.Flatten(), linear=linear)
    units.append(Unit("classifier", classifier, len(CHANNELS) - 1))
    chain = Chain("cnn1d", units, in_shape, num_classes, width)
    initialise(chain)
    return chain


def _unit(in_channels: int, channels: int, *, pool: bool) -> nn.Sequential:
    conv = nn.Conv1d(in_channels, channels, KERNEL, padding=KERNEL // 2, bias=False)
    tail = {"pool": nn.MaxPool1d(2)} if pool else {}
    return named(conv=conv, norm=nn.BatchNorm1d(channels), relu=nn.ReLU(), **tail)
