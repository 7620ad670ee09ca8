"""Linear layers."""

import math
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Self

from devices.network.ops.call import Call, Shape
from devices.network.ops.op import Op
from devices.network.ops.row import Row


@dataclass(frozen=True)
class Linear(Op):
    """(..., in_features) -> (..., features)."""

    in_features: int
    features: int
    bias: bool = False

    kind = "linear"
    modules = ("Linear",)
    accumulates = True
    integer_head = True
    costs = MappingProxyType(
        {
            "device": Row(saves=("input",)),
            "integer": Row(saves=("input",)),
            "pytorch": Row(saves=("input",)),
        }
    )

    @classmethod
    def of(cls, call: Call) -> Self:
        """The geometry of a module of torch.nn."""
        linear = call.module
        return cls(linear.in_features, linear.out_features, linear.bias is not None)

    @property
    def weights(self) -> int:
        """Inputs times outputs."""
        return self.in_features * self.features

    @property
    def biases(self) -> int:
        """One for each output, or none."""
        return self.features * self.bias

    @property
    def filter_size(self) -> int:
        """Weights of one output."""
        return self.in_features

    def macs(self, shape: Shape) -> int:
        """Once for every position before the features."""
        return self.weights * math.prod(shape[:-1])

    def without_bias(self) -> Self:
        """The same with no bias."""
        return replace(self, bias=False)
