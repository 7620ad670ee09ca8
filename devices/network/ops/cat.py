"""Tensors side by side."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from devices.network.ops.call import Call
from devices.network.ops.op import Op
from devices.network.ops.row import Row


@dataclass(frozen=True)
class Cat(Op):
    """Its inputs one behind the other along ``dim``; 1 are the channels.

    They stay where they are: whoever reads it takes each channel from the map that has it, with the levels
    of the quantizer that made its codes. The gradient of each is a map of its own.
    """

    dim: int = 1

    kind = "cat"
    keeps_sign = True
    functions = ("cat", "concat", "concatenate")
    passes_codes = True
    costs = MappingProxyType({"device": Row("view"), "pytorch": Row(gradient="share")})

    @classmethod
    def of(cls, call: Call) -> Self:
        """Along the dimension that is given."""
        dim = int(call.option("dim", 1, 0))
        return cls(dim + len(call.output) + 1 if dim < 0 else dim)
