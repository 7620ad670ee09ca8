"""The same elements in the same order under another shape, or under the same."""

from dataclasses import dataclass
from types import MappingProxyType

from devices.network.ops.op import Op
from devices.network.ops.row import Row


@dataclass(frozen=True)
class View(Op):
    """Moves nothing: the layer's shape says all."""

    kind = "view"
    keeps_sign = True
    # Of a stochastic depth there is a factor per sample, folded into what reads it.
    modules = ("Flatten", "Identity", "StochasticDepth")
    functions = ("flatten", "stochastic_depth")
    passes_codes = True
    skips = True
    rearranges = True
    integer_head = True
    costs = MappingProxyType(
        {
            "device": Row("view", gradient="share"),
            "integer": Row("view", gradient="share"),
            "pytorch": Row("view", gradient="share"),
        }
    )
