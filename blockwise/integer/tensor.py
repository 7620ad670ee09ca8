"""Integer tensors with one power-of-two exponent each (NITI, Wang et al. 2020, arXiv 2009.13108)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

Exponent = int | Tensor
"""Of a whole tensor; or int32 (B,), of each of its images, where these are computed each for itself."""


def shared(exponent: Exponent) -> int:
    """An exponent that all images have. Raises TypeError where each has its own."""
    if isinstance(exponent, Tensor):
        raise TypeError("exponent: got one of each image, wanted one of all")
    return exponent


@dataclass(frozen=True)
class Format:
    """The integers that a mantissa may hold: ``low`` .. ``high``, both included."""

    name: str
    bits: int
    low: int
    high: int

    @property
    def magnitude_bits(self) -> int:
        """Bits of ``high``: accumulators are shifted until their bit length is this."""
        return self.high.bit_length()

    @property
    def behind_relu(self) -> "Format":
        """What is left of it where nothing is negative."""
        return replace(self, low=0)


INT8 = Format("int8", 8, -127, 127)
INT4 = Format("int4", 4, -7, 7)
UINT4 = Format("uint4", 4, 0, 15)
"""Activations behind a ReLU in the 4-bit form."""


@dataclass(frozen=True, eq=False)
class IntTensor:
    """Values mantissa x 2^exponent. The mantissa is an int8 tensor within its format's range.

    The range is symmetric: -128 never occurs, so magnitudes fit 7 bits and negation is exact.
    """

    mantissa: Tensor
    exponent: Exponent
    format: Format = INT8

    def __post_init__(self) -> None:
        if self.mantissa.dtype != torch.int8:
            raise TypeError(f"mantissa: got {self.mantissa.dtype}, wanted torch.int8")

    @property
    def bits(self) -> int:
        """Bits of one mantissa."""
        return self.format.bits

    @property
    def shape(self) -> torch.Size:
        """Of the mantissa."""
        return self.mantissa.shape

    def reshape(self, *shape: int) -> "IntTensor":
        """The same elements, row by row, in another shape."""
        return replace(self, mantissa=self.mantissa.reshape(*shape))

    def check_range(self) -> "IntTensor":
        """Itself, if all mantissas are within the format; one pass over the data, else ValueError."""
        if self.mantissa.numel():
            low, high = (int(m) for m in self.mantissa.aminmax())
            if low < self.format.low or high > self.format.high:
                raise ValueError(f"mantissas {low} .. {high} are no {self.format.name}")
        return self


@dataclass(frozen=True, eq=False)
class Accumulator:
    """Sums of products, mantissa x 2^exponent; int32, within +-(2^31 - 1)."""

    mantissa: Tensor
    exponent: Exponent

    def __post_init__(self) -> None:
        if self.mantissa.dtype != torch.int32:
            raise TypeError(f"accumulator: got {self.mantissa.dtype}, wanted torch.int32")

    @property
    def shape(self) -> torch.Size:
        """Of the mantissa."""
        return self.mantissa.shape


def behind(places: Iterable[Any]) -> tuple[Any, ...]:
    """An index of the last dimensions of a tensor: a number or a slice for each."""
    return (..., *places)
