"""Standard deviations over space."""

from dataclasses import dataclass
from types import MappingProxyType

from devices.network.ops.op import Op
from devices.network.ops.row import Row


@dataclass(frozen=True)
class SpatialStd(Op):
    """(C, ...) -> (C): the standard deviation of each channel over space."""

    kind = "spatial_std"
    both_signs = False
    costs = MappingProxyType(
        {"device": Row(saves=("input", "output")), "pytorch": Row(saves=("input", "output"))}
    )
