"""A multilayer perceptron with three hidden layers, as in Nøkland & Eidnes 2019 for MNIST."""

import math

from torch import nn

from blockwise.layers.named import named
from blockwise.models.parts import linear_unit
from blockwise.nets.chain import Chain, Unit

HIDDEN_LAYERS = 3


def mlp(in_shape: tuple[int, ...], num_classes: int, width: int) -> Chain:
    """Three hidden layers of ``width`` units (1024 in the paper), each with batch norm and ReLU."""
    units = [Unit("hidden1", linear_unit(math.prod(in_shape), width, flatten=True), 0)]
    units += [Unit(f"hidden{i + 1}", linear_unit(width, width), i) for i in range(1, HIDDEN_LAYERS)]
    units.append(Unit("classifier", named(linear=nn.Linear(width, num_classes)), HIDDEN_LAYERS - 1))
    return Chain("mlp", units, in_shape, num_classes, width)
