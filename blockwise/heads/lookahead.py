"""``lookahead``: a small strided convolutional head that looks ahead in space."""

from collections import OrderedDict

from torch import nn

from blockwise.heads.head import ClassifierHead, Shape, pool_to

SIZE = 8
"""Side of the map that the head reads."""
WIDTH, DEPTH = 64, 2


class LookaheadHead(ClassifierHead):
    """Pool to 8x8, 3x3 convolution of stride 2, further 3x3 ones (each with norm and ReLU), gap, linear.

    It stands in for the layers that follow the block, at a sixteenth of a 32x32 map and less. ``depth`` is
    how many convolutions. Flat features pass as many linear layers instead, the classifier among them.
    """

    def __init__(self, in_shape: Shape, num_classes: int, width: int = WIDTH, depth: int = DEPTH) -> None:
        make = _convolutional if len(in_shape) > 1 else _flat
        layers = make(in_shape, width, depth)
        features = width if len(in_shape) > 1 or depth > 1 else in_shape[0]
        layers["linear"] = nn.Linear(features, num_classes)
        super().__init__(nn.Sequential(layers))


def _convolutional(in_shape: Shape, width: int, depth: int) -> OrderedDict[str, nn.Module]:
    signal = len(in_shape) == 2
    conv: type[nn.Conv1d] | type[nn.Conv2d] = nn.Conv1d if signal else nn.Conv2d
    norm = nn.BatchNorm1d if signal else nn.BatchNorm2d
    layers: OrderedDict[str, nn.Module] = OrderedDict(pool=pool_to(in_shape, SIZE))
    for number in range(1, depth + 1):
        channels, stride = (width, 1) if number > 1 else (in_shape[0], 2)
        layers[f"conv{number}"] = conv(channels, width, 3, stride, padding=1, bias=False)
        layers[f"norm{number}"] = norm(width)
        layers[f"relu{number}"] = nn.ReLU()
    layers["gap"] = nn.AdaptiveAvgPool1d(1) if signal else nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    return layers


def _flat(in_shape: Shape, width: int, depth: int) -> OrderedDict[str, nn.Module]:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number in range(1, depth):
        suffix = "" if number == 1 else f"{number}"
        layers[f"hidden{suffix}"] = nn.Linear(in_shape[0] if number == 1 else width, width, bias=False)
        layers[f"norm{suffix}"] = nn.BatchNorm1d(width)
        layers[f"relu{suffix}"] = nn.ReLU()
    return layers
