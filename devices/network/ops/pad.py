"""What stands around a map: a border, or the shortcut between stages that has no parameters."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from devices.network.ops.call import Call
from devices.network.ops.op import Op
from devices.network.ops.row import Row

MODES = {"Reflection": "reflect", "Replication": "replicate", "Circular": "circular"}
"""The beginning of the name of a module of torch.nn -> PyTorch's name of what stands outside."""


@dataclass(frozen=True)
class Pad(Op):
    """A border around each map: ``amounts`` as torch.nn.functional.pad has them, the last dimension first.

    Of zeros in the mode "constant". Convolutions read it as they read their own padding, without a copy.
    """

    amounts: tuple[int, ...]
    mode: str = "constant"

    kind = "pad"
    modules = tuple(f"{what}Pad{rank}d" for what in ("Zero", *MODES) for rank in (1, 2, 3))
    keeps_sign = True
    passes_codes = True
    pads = True
    costs = MappingProxyType({"device": Row("stream", width="input"), "pytorch": Row()})

    @classmethod
    def of(cls, call: Call) -> Self:
        """The module says how much."""
        found = next((mode for name, mode in MODES.items() if call.called.startswith(name)), "constant")
        return cls(tuple(call.module.padding), getattr(call.module, "mode", found))


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
