"""Plain networks without norms: VGG-small as NITI trains it, and small ones for microcontrollers.

NITI (Wang et al. 2020, arXiv 2009.13108, section 5) trains VGG-small with 7 layers; -8 and -9 add a
third convolution to the first and to the second stage.
"""

from torch import nn

from blockwise.layers.named import named
from blockwise.models.parts import conv3x3, initialise
from blockwise.models.plans import conv_units
from blockwise.nets.chain import Chain, Unit

# Channels of each convolution as multiples of width, and "M" for a 2x2 max pool.
PLANS: dict[str, tuple[int | str, ...]] = {
    "vgg-small-7": (1, 1, "M", 2, 2, "M", 4, 4, "M"),
    "vgg-small-8": (1, 1, 1, "M", 2, 2, "M", 4, 4, "M"),
    "vgg-small-9": (1, 1, 1, "M", 2, 2, 2, "M", 4, 4, "M"),
    "plain4": (1, "M", 2, "M", 4, "M", 4, "M"),
    "plain6": (1, 1, "M", 2, 2, "M", 4, 4, "M"),
}


def _bare_unit(in_channels: int, channels: int, *, pool: bool) -> nn.Sequential:
    """3x3 convolution, ReLU and, if asked, a 2x2 max pool."""
    tail = {"pool": nn.MaxPool2d(2)} if pool else {}
    return named(conv=conv3x3(in_channels, channels), relu=nn.ReLU(), **tail)


def plain(name: str, in_shape: tuple[int, ...], num_classes: int, width: int) -> Chain:
    """The network ``name``; a pool that would leave nothing of a small image is left out.

    At width 16 on 3x32x32 with 10 classes plain4 has 62,896 parameters, plain6 82,096.
    """
    units, features, stage = conv_units(PLANS[name], in_shape, width, _bare_unit)
    linear = nn.Linear(features, num_classes, bias=False)
    units.append(Unit("classifier", named(flatten=nn.Flatten(), linear=linear), stage))
    chain = Chain(name, units, in_shape, num_classes, width)
    initialise(chain)
    return chain
