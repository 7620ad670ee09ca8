"""The networks that can be trained, each an ordered list of units that can be cut into blocks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from blockwise.models.chain import Chain, Unit, count_parameters
from blockwise.models.cnn import cnn
from blockwise.models.mlp import mlp
from blockwise.models.resnet import resnet
from blockwise.models.vgg import vgg
from devices.errors import InputError, unknown_name

__all__ = ["CATALOGUE", "Chain", "Unit", "build", "count_parameters"]


@dataclass(frozen=True)
class Family:
    """A named network: how to build it and the width at which it was published."""

    build: Callable[[tuple[int, ...], int, int], Chain]
    width: int
    description: str


CATALOGUE: dict[str, Family] = {
    "resnet20": Family(partial(resnet, 20), 16, "residual network, 19 convolutions"),
    "resnet32": Family(partial(resnet, 32), 16, "residual network, 31 convolutions"),
    "resnet44": Family(partial(resnet, 44), 16, "residual network, 43 convolutions"),
    "resnet56": Family(partial(resnet, 56), 16, "residual network, 55 convolutions"),
    "vgg8b": Family(partial(vgg, "vgg8b"), 128, "plain network, 6 convolutions and 2 linear layers"),
    "vgg11b": Family(partial(vgg, "vgg11b"), 128, "plain network, 9 convolutions and 2 linear layers"),
    "mlp": Family(mlp, 1024, "3 hidden linear layers"),
    "cnn": Family(cnn, 16, "3 convolutions, for the tightest boards"),
}


def build(
    name: str, in_shape: tuple[int, ...] = (3, 32, 32), num_classes: int = 10, width: int | None = None
) -> Chain:
    """The float network ``name`` for images (C, H, W); ``width`` scales every layer.

    Weights come from PyTorch's global random generator. Raises InputError for an unknown name, a
    width below 1 or fewer than two classes.
    """
    if name not in CATALOGUE:
        raise unknown_name("model", name, CATALOGUE)
    if num_classes < 2:
        raise InputError("classes", got=num_classes, wanted="at least 2", do="use other data")
    family = CATALOGUE[name]
    width = family.width if width is None else width
    if width < 1:
        raise InputError("--width", got=width, wanted="at least 1", do=f"published: {family.width}")
    if len(in_shape) != 3 or min(in_shape) < 1:
        raise InputError("image shape", got=in_shape, wanted="(channels, height, width)", do="fix it")
    return family.build(tuple(in_shape), num_classes, width)
