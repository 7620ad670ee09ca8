"""``lookahead``: a small strided convolutional head that looks ahead in space."""

from collections import OrderedDict

from torch import nn

from blockwise.heads.head import ClassifierHead, Shape, pool_to

SIZE = 8
"""Side of the map that the head reads."""
WIDTH = 64


class LookaheadHead(ClassifierHead):
    """Pool to 8x8, 3x3 convolution of stride 2, 3x3 convolution (each with norm and ReLU), gap, linear.

    It stands in for the layers that follow the block, at a sixteenth of a 32x32 map and less. Flat
    features pass two linear layers instead.
    """

    def __init__(self, in_shape: Shape, num_classes: int, width: int = WIDTH) -> None:
        layers = _convolutional(in_shape, width) if len(in_shape) > 1 else _flat(in_shape, width)
        layers["linear"] = nn.Linear(width, num_classes)
        super().__init__(nn.Sequential(layers))


def _convolutional(in_shape: Shape, width: int) -> OrderedDict[str, nn.Module]:
    signal = len(in_shape) == 2
    conv: type[nn.Conv1d] | type[nn.Conv2d] = nn.Conv1d if signal else nn.Conv2d
    norm = nn.BatchNorm1d if signal else nn.BatchNorm2d
    return OrderedDict(
        pool=pool_to(in_shape, SIZE),
        conv1=conv(in_shape[0], width, 3, 2, padding=1, bias=False),
        norm1=norm(width),
        relu1=nn.ReLU(),
        conv2=conv(width, width, 3, padding=1, bias=False),
        norm2=norm(width),
        relu2=nn.ReLU(),
        gap=nn.AdaptiveAvgPool1d(1) if signal else nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
    )


def _flat(in_shape: Shape, width: int) -> OrderedDict[str, nn.Module]:
    hidden = nn.Linear(in_shape[0], width, bias=False)
    return OrderedDict(hidden=hidden, norm=nn.BatchNorm1d(width), relu=nn.ReLU())
