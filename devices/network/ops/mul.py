"""Products of tensors, such as a map times a gate for each channel."""

from dataclasses import dataclass
from types import MappingProxyType

from devices.network.ops.op import Op
from devices.network.ops.row import Row


@dataclass(frozen=True)
class Mul(Op):
    """The product of its inputs, element by element; one value may stand for a whole channel."""

    kind = "mul"
    keeps_sign = True
    functions = ("mul", "imul", "mul_")
    costs = MappingProxyType({"device": Row(saves=("input",)), "pytorch": Row(saves=("input",))})
