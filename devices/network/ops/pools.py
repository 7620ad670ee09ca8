"""Pools: maxima and means over windows, and means down to a given size."""

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Self

from devices.network.ops.call import Call
from devices.network.ops.op import Op
from devices.network.ops.row import Row


def _strides(call: Call, kernel: tuple[int, ...]) -> tuple[int, ...]:
    """Windows stand side by side unless a stride is given."""
    return kernel if call.option("stride", 2, None) is None else call.sides("stride", 2, None)


@dataclass(frozen=True)
class MaxPool(Op):
    """The largest of each window. How far the last window reaches follows from the shapes."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    kind = "max_pool"
    keeps_sign = True
    modules = ("MaxPool1d", "MaxPool2d", "MaxPool3d")
    functions = ("max_pool1d", "max_pool2d", "max_pool3d")
    passes_codes = True
    skips = True
    costs = MappingProxyType(
        {
            "device": Row(width="input", saves=("argmax",)),
            "integer": Row(width="input", saves=("argmax",)),
            "pytorch": Row(saves=("input", "argmax"), argmax_bits=64),
        }
    )

    @classmethod
    def square(cls, side: int = 2, rank: int = 2) -> Self:
        """Windows with equal sides, side by side."""
        return cls((side,) * rank, (side,) * rank, (0,) * rank, (1,) * rank)

    @classmethod
    def of(cls, call: Call) -> Self:
        """The geometry of a module of torch.nn or a function."""
        kernel = call.sides("kernel_size", 1, 1)
        return cls(kernel, _strides(call, kernel), call.sides("padding", 3, 0), call.sides("dilation", 4, 1))

    @property
    def apart(self) -> bool:
        """Whether no two windows share a value, and none lies outside of the map."""
        near = zip(self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return all(side <= step and not pad and spread == 1 for side, step, pad, spread in near)

    @property
    def window(self) -> int:
        """Values that are compared."""
        return math.prod(self.kernel)


@dataclass(frozen=True)
class AvgPool(Op):
    """The mean of each window; zeros around the input count unless ``counts_padding`` is false."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    counts_padding: bool = True

    kind = "avg_pool"
    keeps_sign = True
    modules = ("AvgPool1d", "AvgPool2d", "AvgPool3d")
    functions = ("avg_pool1d", "avg_pool2d", "avg_pool3d")
    integer_head = True
    costs = MappingProxyType(
        {"device": Row(), "integer": Row(width="codes"), "pytorch": Row(saves=("input",))}
    )

    @classmethod
    def of(cls, call: Call) -> Self:
        """The geometry of a module of torch.nn or a function."""
        kernel = call.sides("kernel_size", 1, 1)
        padded = bool(call.option("count_include_pad", 5, True))
        return cls(kernel, _strides(call, kernel), call.sides("padding", 3, 0), padded)

    @property
    def window(self) -> int:
        """Values that are added."""
        return math.prod(self.kernel)


@dataclass(frozen=True)
class AdaptiveAvgPool(Op):
    """Means over windows that leave ``output`` values a side; over all of a map if that is one."""

    output: tuple[int, ...]

    kind = "avg_pool"
    keeps_sign = True
    modules = ("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d")
    functions = ("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
    integer_head = True
    costs = AvgPool.costs
    of_all: ClassVar[Row] = Row()
    """In PyTorch a mean over all of space: only sizes are kept."""

    @classmethod
    def of(cls, call: Call) -> Self:
        """A side that is not given stays as it is."""
        given = call.option("output_size", 1, 1)
        if isinstance(given, int) or not call.output:
            return cls(call.sides("output_size", 1, 1))
        return cls(tuple(call.output[1:]))

    @property
    def is_global(self) -> bool:
        """Whether one value is left of each channel."""
        return math.prod(self.output) == 1

    def row(self, accounting: str) -> Row | None:
        """As of an average, but for PyTorch's mean over all of space."""
        return self.of_all if accounting == "pytorch" and self.is_global else super().row(accounting)
