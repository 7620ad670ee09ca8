"""Factors and summands that hold for a map or a channel: constants of the code, or trained ones."""

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Self

from devices.network.ops.beside import Beside
from devices.network.ops.call import Call
from devices.network.ops.op import Op
from devices.network.ops.row import Row


@dataclass(frozen=True)
class Scale(Op):
    """``factor`` x, or x + ``shift``: constants that stand in the code."""

    factor: float = 1.0
    shift: float = 0.0

    kind = "scale"
    elementwise = True
    costs = MappingProxyType({"device": Row("stream", gradient="in_place"), "pytorch": Row()})

    @classmethod
    def of(cls, call: Call) -> Self:
        """The module has both."""
        return cls(float(call.module.factor), float(call.module.shift))

    @property
    def stops(self) -> bool:
        """Nothing of its input is left behind a factor of zero."""
        return self.factor == 0

    @property
    def keeps_sign(self) -> bool:
        """Unless it turns the sign, or takes something away."""
        return self.factor >= 0 and self.shift >= 0

    def row(self, accounting: str) -> Row | None:
        """The gradient of a summand passes as it is."""
        found = super().row(accounting)
        if found is None or self.factor != 1:
            return found
        return Row(found.output, gradient="share")


@dataclass(frozen=True)
class Affine(Beside, Op):
    """A factor for each channel that is trained, with a summand or not; or a summand alone.

    As the layer scale of Touvron et al. 2021 (arXiv 2103.17239, CaiT), which ConvNeXt has as well. ``sides``
    is the shape, without the batch, in which they stand beside a map, where that is not (C, 1, ...): one of
    a side stands for all. So a position embedding is a summand for each place and channel.
    """

    channels: int
    scales: bool = True
    shifts: bool = False
    sides: tuple[int, ...] = ()

    kind = "affine"
    elementwise = True
    saves_for_biases = True
    costs = MappingProxyType(
        {
            "device": Row(saves=("input",), gradient="in_place"),
            "pytorch": Row(saves=("input",)),
        }
    )

    @classmethod
    def of(cls, call: Call) -> Self:
        """By the parameters that the module has."""
        found = call.module
        return cls(call.channels, found.weight is not None, found.bias is not None, call.beside)

    @property
    def biases(self) -> int:
        """Trained factors and summands: like those of a norm, they are not quantized."""
        return self.count * (self.scales + self.shifts)

    @property
    def bias_tensors(self) -> int:
        """As many as there are of the two."""
        return self.scales + self.shifts

    def row(self, accounting: str) -> Row | None:
        """The gradients of summands read nothing but that of the output."""
        found = super().row(accounting)
        return found if self.scales or found is None else replace(found, saves=())
