"""Elements of a map read elsewhere: a part, dimensions in another order, one place for many."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from devices.network.ops.call import Call
from devices.network.ops.op import Op
from devices.network.ops.row import Row


@dataclass(frozen=True)
class Slice(Op):
    """Of each dimension behind the batch every ``steps``-th element from ``starts`` on: as many as its shape.

    Whoever reads it reads the map itself, from another place on. The gradient is that of the whole map, to
    which every part adds.
    """

    starts: tuple[int, ...]
    steps: tuple[int, ...]

    kind = "slice"
    keeps_sign = True
    passes_codes = True
    skips = True
    rearranges = True
    costs = MappingProxyType({"device": Row("view"), "pytorch": Row("view")})

    @classmethod
    def of(cls, call: Call) -> Self:
        """The module says where it begins."""
        return cls(tuple(call.module.starts), tuple(call.module.steps))


@dataclass(frozen=True)
class Permute(Op):
    """The dimensions behind the batch, which is 0, in the order ``dims``, as torch.permute has it.

    Whoever reads it goes through the map in other strides. The gradient is written in those of the map.
    """

    dims: tuple[int, ...]

    kind = "permute"
    keeps_sign = True
    passes_codes = True
    skips = True
    rearranges = True
    costs = MappingProxyType({"device": Row("view"), "pytorch": Row(gradient="share")})

    @classmethod
    def of(cls, call: Call) -> Self:
        """The module says in which order."""
        return cls(tuple(call.module.dims))


@dataclass(frozen=True)
class Expand(Op):
    """Dimensions of one place, which stands for as many as its shape has, as torch.Tensor.expand does.

    Whoever reads it reads that place again. The gradient is the sum over them.
    """

    kind = "expand"
    keeps_sign = True
    passes_codes = True
    skips = True
    rearranges = True
    repeats = True
    costs = MappingProxyType({"device": Row("view"), "pytorch": Row("view")})
