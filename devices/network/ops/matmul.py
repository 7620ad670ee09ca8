"""Products of two computed matrices, as those of queries with keys."""

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from devices.network.ops.call import Call, Shape
from devices.network.ops.op import Op
from devices.network.ops.row import Row


@dataclass(frozen=True)
class MatMul(Op):
    """(..., N, ``inner``) and (..., ``inner``, M) -> ``factor`` times their product (..., N, M).

    So attention multiplies queries with keys, and its weights with values, for each head (Vaswani et al.
    2017, arXiv 1706.03762).
    """

    inner: int
    factor: float = 1.0

    kind = "matmul"
    functions = ("multiply_matrices",)
    spare = True
    costs = MappingProxyType({"device": Row(saves=("input",)), "pytorch": Row(saves=("input",))})

    @classmethod
    def of(cls, call: Call) -> Self:
        """By the columns of the first, and the factor that the function is told."""
        known = call.inputs and call.inputs[0]
        return cls(call.inputs[0][-1] if known else 0, float(call.option("factor", 2, 1.0)))

    @property
    def words(self) -> str:
        """What it is called in a sentence."""
        return "a product of two computed matrices"

    def macs(self, shape: Shape) -> int:
        """One for each element of a row of the first."""
        return self.inner * math.prod(shape)
