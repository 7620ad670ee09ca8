"""A quantizer that stands by itself: floats in, codes out."""

from dataclasses import dataclass
from types import MappingProxyType

from devices.network.ops.op import Op
from devices.network.ops.row import Row


@dataclass(frozen=True)
class Quantize(Op):
    """Makes codes of what no activation has made codes of: of ``signed`` values, or of none below zero."""

    signed: bool = False

    kind = "quantize"
    makes_codes = True
    elementwise = True
    costs = MappingProxyType(
        {
            "device": Row(width="codes", saves=("mask",), gradient="in_place"),
            "integer": Row(width="codes", gradient="in_place"),
        }
    )
