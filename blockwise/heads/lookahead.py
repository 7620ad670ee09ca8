"""``lookahead``: a small strided convolutional head that looks ahead in space."""

from collections import OrderedDict

from torch import nn

from blockwise.heads.head import POOLS, ClassifierHead, Shape, pool_to
from blockwise.layers.norms import BATCH_NORMS
from blockwise.layers.weighted import CONVOLUTIONS

WIDTH, DEPTH, SIDE = 64, 2, 8


class LookaheadHead(ClassifierHead):
    """Pool to 8x8, 3x3 convolution of stride 2, further 3x3 ones (each with norm and ReLU), gap, linear.

    It stands in for the layers that follow the block, at a sixteenth of a 32x32 map and less. ``depth`` is
    how many convolutions, ``side`` how many places a side of the pooled map has at most. Flat features pass
    as many linear layers instead, the classifier among them.
    """

    def __init__(
        self, in_shape: Shape, num_classes: int, width: int = WIDTH, depth: int = DEPTH, side: int = SIDE,
        first: nn.Module | None = None,
    ) -> None:  # fmt: skip
        """``first`` stands in place of the first convolution; it tells its channels and its stride."""
        flat = len(in_shape) == 1
        layers = (
            _flat(in_shape, width, depth) if flat else _convolutional(in_shape, width, depth, side, first)
        )
        last = [m for m in layers.values() if isinstance(m, BATCH_NORMS)]
        layers["linear"] = nn.Linear(last[-1].num_features if last else in_shape[0], num_classes)
        super().__init__(nn.Sequential(layers))


def _convolutional(
    in_shape: Shape, width: int, depth: int, side: int, first: nn.Module | None
) -> OrderedDict[str, nn.Module]:
    space = len(in_shape) - 1
    conv, norm = CONVOLUTIONS[space], BATCH_NORMS[space - 1]
    layers: OrderedDict[str, nn.Module] = OrderedDict(pool=pool_to(in_shape, side))
    channels, strided = in_shape[0], False
    for number in range(1, depth + 1):
        made = first if number == 1 else None
        if made is None:
            made = conv(channels, width, 3, 1 if strided else 2, padding=1, bias=False)
        channels, strided = int(made.out_channels), strided or max(made.stride) > 1  # type: ignore[arg-type]
        layers[f"conv{number}"] = made
        layers[f"norm{number}"] = norm(channels)
        layers[f"relu{number}"] = nn.ReLU()
    layers["gap"] = POOLS[space](1)
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
