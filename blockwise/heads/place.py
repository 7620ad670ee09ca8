"""Where a block's head reads: its output, or what stands before the block's own dropout and max pool.

Nøkland & Eidnes 2019 attach their heads to the activation: neither the dropout behind it nor the max pool
that follows is seen by the loss. What stands there passes the map on to the next block and no gradient
comes back through it.
"""

from collections.abc import Sequence

from torch import nn

from devices.network import DROPOUTS, Layer
from devices.network.trace import kind_of_module

BEHIND = (*DROPOUTS, "max_pool")
"""Kinds of layers that stand behind the activation."""


def split(unit: nn.Module) -> tuple[nn.Module, nn.Sequential]:
    """The unit up to its activation, and what stands behind it; only rows of layers can be split."""
    if not isinstance(unit, nn.Sequential):
        return unit, nn.Sequential()
    place = _place([kind_of_module(module) for module in unit])
    return unit[:place], unit[place:]


def read_layer(layers: Sequence[Layer]) -> Layer:
    """The layer of a unit whose output the head reads."""
    return layers[_place([layer.kind for layer in layers]) - 1]


def _place(kinds: Sequence[str | None]) -> int:
    place = len(kinds)
    while place > 1 and kinds[place - 1] in BEHIND:
        place -= 1
    return place
