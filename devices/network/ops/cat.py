"""Tensors side by side."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from devices.network.ops.call import Call
from devices.network.ops.op import Op
from devices.network.ops.row import Row


@dataclass(frozen=True)
class Cat(Op):
    """Its inputs one behind the other along ``dim``; 1 are the channels."""

    dim: int = 1

    kind = "cat"
    keeps_sign = True
    functions = ("cat", "concat", "concatenate")
    passes_codes = True
    costs = MappingProxyType({"device": Row(width="input", gradient="share")})

    @classmethod
    def of(cls, call: Call) -> Self:
        """Along the dimension that is given."""
        return cls(int(call.option("dim", 1, 0)))
