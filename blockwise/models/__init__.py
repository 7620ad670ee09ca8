"""The networks that can be trained, each an ordered list of units that can be cut into blocks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import isfinite

from blockwise.models import files
from blockwise.models.cnn import cnn
from blockwise.models.cnn1d import cnn1d
from blockwise.models.imported import as_chain, from_module, replica
from blockwise.models.inverted import mcunet
from blockwise.models.mlp import mlp
from blockwise.models.plain import plain
from blockwise.models.renorming import renorm
from blockwise.models.resnet import resnet
from blockwise.models.resnet8 import resnet8
from blockwise.models.separable import ds_cnn, mobilenet
from blockwise.models.style import ACTIVATIONS, INITS, PLAIN, Style, restyle
from blockwise.models.torchvision_nets import PREFIX, check_torchvision, is_torchvision, torchvision_chain
from blockwise.models.vgg import vgg
from blockwise.nets.chain import Chain, Unit, count_parameters
from blockwise.nets.usual import CLASSES, IN_SHAPE, OWN
from blockwise.system.sizes import check_size
from devices.errors import InputError, unknown_name

__all__ = [
    "ACTIVATIONS",
    "CATALOGUE",
    "DEFAULT_WIDTH",
    "INITS",
    "OWN",
    "PLAIN",
    "PREFIX",
    "Chain",
    "Style",
    "Unit",
    "as_chain",
    "build",
    "check_name",
    "check_width",
    "count_parameters",
    "files",
    "from_module",
    "has_skips",
    "is_own",
    "replica",
    "short_name",
    "width_of",
]

DEFAULT_WIDTH = 8
"""Of networks that are to be trained on a board: half the published width of ResNet-20."""

IMAGE_RANK = 3
"""Of (C, H, W); signals (C, L) have 2, features (F,) 1."""
WIDEST = 16
"""Multiplier of the channels of a network of torchvision."""
KINDS = {1: "features (F)", 2: "signals (C, L)", IMAGE_RANK: "images (C, H, W)"}


@dataclass(frozen=True)
class Family:
    """A named network: how to build it and the width at which it was published."""

    build: Callable[[tuple[int, ...], int, int], Chain]
    width: int
    description: str
    skips: bool = False  # whether it has residual sums
    ranks: tuple[int, ...] = (IMAGE_RANK,)  # of inputs that it takes
    small: bool = False  # published for microcontrollers: at its own width by default


CATALOGUE: dict[str, Family] = {
    "resnet20": Family(partial(resnet, 20), 16, "residual network, 19 convolutions", skips=True),
    "resnet32": Family(partial(resnet, 32), 16, "residual network, 31 convolutions", skips=True),
    "resnet44": Family(partial(resnet, 44), 16, "residual network, 43 convolutions", skips=True),
    "resnet56": Family(partial(resnet, 56), 16, "residual network, 55 convolutions", skips=True),
    "vgg8b": Family(partial(vgg, "vgg8b"), 128, "plain network, 6 convolutions and 2 linear layers"),
    "vgg11b": Family(partial(vgg, "vgg11b"), 128, "plain network, 9 convolutions and 2 linear layers"),
    "mlp": Family(mlp, 1024, "3 hidden linear layers", ranks=(1, 2, IMAGE_RANK)),
    "cnn": Family(cnn, 16, "3 convolutions, for the tightest boards"),
    "cnn1d": Family(cnn1d, 16, "4 convolutions over time, for signals", ranks=(2,)),
    "ds-cnn": Family(ds_cnn, 64, "MLPerf Tiny's for keywords, 4 separable convolutions", small=True),
    "resnet8": Family(resnet8, 16, "MLPerf Tiny's for images, 3 residual blocks", skips=True, small=True),
    "mobilenet-0.25": Family(
        mobilenet, 8, "MLPerf Tiny's for persons, 13 separable convolutions", small=True
    ),
    "mcunet-5fps": Family(mcunet, 16, "MCUNet's, 14 inverted residuals", skips=True, small=True),
    "vgg-small-7": Family(partial(plain, "vgg-small-7"), 128, "NITI's, 6 convolutions and 1 linear layer"),
    "vgg-small-8": Family(partial(plain, "vgg-small-8"), 128, "NITI's, 7 convolutions and 1 linear layer"),
    "vgg-small-9": Family(partial(plain, "vgg-small-9"), 128, "NITI's, 8 convolutions and 1 linear layer"),
    "plain4": Family(partial(plain, "plain4"), 16, "4 convolutions without norms, for integer training"),
    "plain6": Family(partial(plain, "plain6"), 16, "6 convolutions without norms, for integer training"),
}


def build(
    name: str, in_shape: tuple[int, ...] = IN_SHAPE, num_classes: int = CLASSES, width: float | None = None,
    norm: str = "batch", style: Style = PLAIN, *, trained: bool = False,
) -> Chain:  # fmt: skip
    """The float network ``name`` for images (C, H, W), or what else it takes; ``width`` scales every layer.

    It is the number of channels of the first stage, and of torchvision's a multiplier.

    ``norm`` is one of :data:`blockwise.layers.norms.NORMS`; the local heads follow it. "torchvision:NAME"
    is a network of torchvision at its own width and in its own style: on the meta device, where no weight
    takes memory, unless it is to be ``trained``.

    Weights come from PyTorch's global random generator. Raises InputError for an unknown name, a
    width below 1, fewer than two classes, or a style that the network cannot have.
    """
    check_name(name)
    if num_classes < 2:
        raise InputError("classes", got=num_classes, wanted="at least 2", do="use other data")
    _check_shape(name, in_shape)
    if files.is_file(name):
        module = files.load(name, tuple(in_shape), num_classes)
        return replica(from_module(module, tuple(in_shape)), norm, style, width)
    chain = _build(name, tuple(in_shape), num_classes, width, trained)
    if style != PLAIN:
        if name.startswith(PREFIX):
            raise InputError(
                name, got="an activation, dropout, biases or first weights", wanted="the network as it is",
                do="leave out --activation, --dropout, --bias and --init",
            )  # fmt: skip
        restyle(chain, style)
    return renorm(chain, norm, trained=False)


def check_name(name: str) -> None:
    """Raise InputError unless ``name`` is in the catalogue, one of torchvision's, or a module's own."""
    if name.startswith(PREFIX):
        check_torchvision(name.removeprefix(PREFIX))
    elif name not in CATALOGUE and not is_own(name):
        do = f"did you mean '{PREFIX}{name}'?" if is_torchvision(name) else ""
        raise unknown_name("model", name, (*CATALOGUE, f"{PREFIX}NAME", files.FORMS), do)


def _check_shape(name: str, in_shape: tuple[int, ...]) -> None:
    if not in_shape or min(in_shape) < 1:
        raise InputError("image shape", got=in_shape, wanted="(channels, height, width)", do="fix it")
    if files.is_file(name):
        return  # which says itself what it takes
    ranks = CATALOGUE[name].ranks if name in CATALOGUE else (IMAGE_RANK,)
    if len(in_shape) not in ranks:
        others = [other for other, family in CATALOGUE.items() if len(in_shape) in family.ranks]
        raise InputError(
            f"model {name}", got=f"inputs of shape {'x'.join(map(str, in_shape))}",
            wanted=" or ".join(KINDS[rank] for rank in ranks),
            do=f"use --model {' or '.join(others)}" if others else "use other data",
        )  # fmt: skip


def is_own(name: str) -> bool:
    """Whether a network is a module of one's own, in a file or in memory."""
    return name.startswith(OWN) or files.is_file(name)


def short_name(name: str) -> str:
    """Without the folder and the kind of a file: net-Net for nets/net.py:Net, net for net.onnx.

    A name of the catalogue, of torchvision or of a module stays as it is.
    """
    if not files.is_file(name):
        return name.removeprefix(OWN)
    path, within = files.parted(name)
    return "-".join(filter(None, (path.stem, within)))


def has_skips(name: str) -> bool:
    """Whether a network has residual sums; torchvision's, and modules of one's own, may."""
    return name.startswith(PREFIX) or is_own(name) or CATALOGUE[name].skips


def check_width(name: str, width: float) -> None:
    """Raise InputError unless ``width`` is a number of channels, or of torchvision's a multiplier."""
    if name.startswith(PREFIX):
        if not 0 < width <= WIDEST:
            raise InputError("--width", got=width, wanted=f"a multiplier up to {WIDEST}", do="try 0.35")
        return
    if not isfinite(width) or width != int(width):
        raise InputError("--width", got=width, wanted="a whole number of channels", do="round it")
    check_size("--width", int(width))


def width_of(name: str, width: float | None) -> float | None:
    """The width as asked for; otherwise the default, or None for a network that does not scale."""
    if width is not None or name.startswith(PREFIX) or is_own(name):
        return width
    return CATALOGUE[name].width if CATALOGUE[name].small else DEFAULT_WIDTH


def _build(
    name: str, in_shape: tuple[int, ...], num_classes: int, width: float | None, trained: bool
) -> Chain:
    if name.startswith(PREFIX):
        return torchvision_chain(name.removeprefix(PREFIX), in_shape, num_classes, width, trained=trained)
    if name.startswith(OWN):
        raise InputError(
            f"model {name}", got="a name alone", wanted="the module itself, which no name can build",
            do="call blockwise.plan or blockwise.train with it",
        )  # fmt: skip
    family = CATALOGUE[name]
    width = family.width if width is None else width
    if width < 1 or width != int(width):
        raise InputError("--width", got=width, wanted="at least 1", do=f"published: {family.width}")
    return family.build(in_shape, num_classes, int(width))
