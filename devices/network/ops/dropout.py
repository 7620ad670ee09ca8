"""Dropout: of elements, or of whole channels of an image."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from devices.network.ops.call import Call
from devices.network.ops.op import Op
from devices.network.ops.row import Row


@dataclass(frozen=True)
class _Dropping(Op):
    """What dropouts share."""

    rate: float = 0.5

    passes_codes = True
    keeps_sign = True
    skips = True
    drops = True
    costs = MappingProxyType(
        {
            "device": Row("in_place", width="input", saves=("kept",), gradient="in_place"),
            # What is multiplied with: 0, or 1 / (1 - rate), as floats.
            "pytorch": Row(saves=("noise",)),
        }
    )

    @classmethod
    def of(cls, call: Call) -> Self:
        """With its rate."""
        return cls(call.option("p", 1, cls.rate))


@dataclass(frozen=True)
class Dropout(_Dropping):
    """Each element is dropped at ``rate`` in training, the others divided by 1 - rate."""

    kind = "dropout"
    modules = ("Dropout",)
    functions = ("dropout",)


@dataclass(frozen=True)
class ChannelDropout(_Dropping):
    """One draw for each channel of an image."""

    kind = "channel_dropout"
    modules = ("Dropout1d", "Dropout2d", "Dropout3d")
    functions = ("dropout1d", "dropout2d", "dropout3d")
