"""Where a block's head reads: its output, or what stands before the block's own dropout and max pool.

Nøkland & Eidnes 2019 attach their heads to the activation: neither the dropout behind it nor the max pool
that follows is seen by the loss. What stands there passes the map on to the next block and no gradient
comes back through it.
"""

from collections.abc import Sequence

from torch import nn

from devices.network import Layer
from devices.network.ops import MaxPool, Op
from devices.network.trace import op_class


def split(unit: nn.Module) -> tuple[nn.Module, nn.Sequential]:
    """The unit up to its activation, and what stands behind it; only rows of layers can be split."""
    if not isinstance(unit, nn.Sequential):
        return unit, nn.Sequential()
    place = _place([op_class(module) for module in unit])
    return unit[:place], unit[place:]


def read_layer(layers: Sequence[Layer]) -> Layer:
    """The layer of a unit whose output the head reads."""
    return layers[_place([type(layer.op) for layer in layers]) - 1]


def _place(ops: Sequence[type[Op] | None]) -> int:
    place = len(ops)
    while place > 1 and stands_behind(ops[place - 1]):
        place -= 1
    return place


def stands_behind(op: type[Op] | None) -> bool:
    """Whether it may follow the activation at the end of a unit."""
    return op is not None and (op.drops or issubclass(op, MaxPool))
