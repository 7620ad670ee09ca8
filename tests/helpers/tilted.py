"""A kind of layer that neither package has: all it takes is this file, and the line that registers it."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from torch import Tensor, nn

from devices.network.ops import Call, Op, Row


class Tilted(nn.Module):
    """x, or a share of it below zero: a leaky ReLU by another name."""

    op_kind = "tilted"

    def __init__(self, share: float = 0.25) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        return x.clamp_min(0) + self.share * x.clamp_max(0)


@dataclass(frozen=True)
class TiltedOp(Op):
    """What a :class:`Tilted` costs: as on a device a leaky ReLU does, a sign for each element."""

    share: float = 0.25

    kind = "tilted"
    elementwise = True
    overwritable = True
    costs = MappingProxyType(
        {"device": Row(saves=("sign",), gradient="in_place"), "pytorch": Row(saves=("input",))}
    )

    @classmethod
    def of(cls, call: Call) -> Self:
        """With its share."""
        return cls(call.module.share)
