"""Softmax within a network, as the weights of attention."""

from dataclasses import dataclass
from types import MappingProxyType

from devices.network.ops.op import Op
from devices.network.ops.row import Row


@dataclass(frozen=True)
class Softmax(Op):
    """exp(x) / sum exp(x), of each row: along the last dimension."""

    kind = "softmax"
    both_signs = False
    by_row = True
    costs = MappingProxyType(
        {
            "device": Row("in_place", saves=("output",), gradient="in_place"),
            "pytorch": Row(saves=("output",)),
        }
    )
