"""The shortcut between stages that has no parameters."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from devices.network.ops.call import Call
from devices.network.ops.op import Op
from devices.network.ops.row import Row


@dataclass(frozen=True)
class Shortcut(Op):
    """Every ``stride``-th pixel; zero channels before and behind (He et al. 2016, "option A")."""

    stride: int
    channels_before: int
    channels_behind: int

    kind = "shortcut"
    keeps_sign = True
    skips = True
    costs = MappingProxyType({"device": Row("stream"), "pytorch": Row()})

    @classmethod
    def of(cls, call: Call) -> Self:
        """The module says how many channels it adds."""
        before, behind = call.module.added_channels
        return cls(call.module.stride, before, behind)
