"""The plain convolutional networks of Nøkland & Eidnes 2019 (arXiv 1901.06656): VGG8B and VGG11B."""

from torch import nn

from blockwise.layers.named import named
from blockwise.models.parts import conv_unit, initialise, linear_unit
from blockwise.models.plans import conv_units
from blockwise.nets.chain import Chain, Unit

# Channels of each convolution as multiples of width (128 in the paper), and "M" for a max pool.
PLANS: dict[str, tuple[int | str, ...]] = {
    "vgg8b": (1, 2, "M", 2, 4, "M", 4, "M", 4, "M"),
    "vgg11b": (1, 1, 1, 2, "M", 2, 4, "M", 4, 4, "M", 4, "M"),
}
HIDDEN = 8  # features of the hidden linear layer, as a multiple of width (1024 in the paper)


def vgg(name: str, in_shape: tuple[int, ...], num_classes: int, width: int) -> Chain:
    """The network ``name``; a pool that would leave nothing of a small image is left out."""
    units, features, stage = conv_units(PLANS[name], in_shape, width, conv_unit)
    units.append(Unit("hidden", linear_unit(features, HIDDEN * width, flatten=True), stage))
    units.append(Unit("classifier", named(linear=nn.Linear(HIDDEN * width, num_classes)), stage))
    chain = Chain(name, units, in_shape, num_classes, width)
    initialise(chain)
    return chain
