"""Sums of tensors."""

from dataclasses import dataclass
from types import MappingProxyType

from devices.network.ops.op import Op
from devices.network.ops.row import Row


@dataclass(frozen=True)
class Add(Op):
    """The sum of its inputs, element by element: where a skip path ends."""

    kind = "add"
    keeps_sign = True
    functions = ("add", "iadd", "add_")
    elementwise = True
    costs = MappingProxyType({"device": Row("stream", gradient="share"), "pytorch": Row(gradient="share")})

    @property
    def words(self) -> str:
        """What it is called in a sentence."""
        return "a residual sum"
