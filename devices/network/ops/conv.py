"""Convolutions over any number of dimensions, grouped ones included."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Self

from devices.network.ops.call import Call, Shape
from devices.network.ops.op import Op
from devices.network.ops.row import Row


@dataclass(frozen=True)
class Conv(Op):
    """A convolution (C, ...) -> (channels, ...). What lies outside of the input is zero.

    ``padding`` is how far each side of the input is extended before its first element; how far behind its
    last one follows from the shapes.
    """

    in_channels: int
    channels: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    bias: bool = False
    padding_mode: str = "zeros"  # PyTorch's name of what lies outside

    kind = "conv"
    modules = ("Conv1d", "Conv2d", "Conv3d")
    accumulates = True
    costs = MappingProxyType(
        {
            "device": Row(saves=("input",)),
            "integer": Row(saves=("input",)),  # sums of 32 bits; the layer behind requantizes them
            "pytorch": Row(saves=("input",)),
        }
    )

    @classmethod
    def square(
        cls, in_channels: int, channels: int, side: int = 3, *, stride: int = 1, padding: int | None = None,
        groups: int = 1, bias: bool = False, rank: int = 2,
    ) -> Self:  # fmt: skip
        """A convolution with equal sides; it keeps the size at stride 1 unless ``padding`` is given."""
        pad = side // 2 if padding is None else padding
        kernel, strides, pads, ones = ((n,) * rank for n in (side, stride, pad, 1))
        return cls(in_channels, channels, kernel, strides, pads, ones, groups, bias)

    @classmethod
    def of(cls, call: Call) -> Self:
        """The geometry of a module of torch.nn."""
        conv = call.module
        kernel, dilation, padding = tuple(conv.kernel_size), tuple(conv.dilation), conv.padding
        if padding == "same":
            padding = [d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True)]
        elif padding == "valid":
            padding = [0] * len(kernel)
        return cls(
            conv.in_channels, conv.out_channels, kernel, tuple(conv.stride), tuple(padding), dilation,
            conv.groups, conv.bias is not None, conv.padding_mode,
        )  # fmt: skip

    @cached_property
    def weights(self) -> int:
        """Of all filters."""
        return self.channels * self.filter_size

    @property
    def biases(self) -> int:
        """One for each output channel, or none."""
        return self.channels * self.bias

    @cached_property
    def filter_size(self) -> int:
        """A filter sees the channels of its group."""
        return self.in_channels // self.groups * self.kernel_positions

    @cached_property
    def kernel_positions(self) -> int:
        """Elements of the kernel in space."""
        return math.prod(self.kernel)

    def least_input(self, shape: Shape) -> tuple[int, ...]:
        """The smallest sizes in space of an input that gives an output of this shape."""
        sides = zip(shape[1:], self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple((n - 1) * step + gap * (k - 1) + 1 - 2 * pad for n, k, step, pad, gap in sides)

    def macs(self, shape: Shape) -> int:
        """Every filter at every position of the output."""
        return self.weights * math.prod(shape[1:])

    def without_bias(self) -> Self:
        """The same with no bias."""
        return replace(self, bias=False)
