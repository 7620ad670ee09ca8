"""The operations that layers can have, one family a file.

An operation is added by a file of its own and a line of :data:`OPS`, or from outside by :func:`register`.
"""

from collections.abc import Iterable, Iterator

from devices.network.ops.activations import ELU, GELU, LeakyReLU, Mish, ReLU, Sigmoid, Swish, Tanh
from devices.network.ops.add import Add
from devices.network.ops.call import Call
from devices.network.ops.cat import Cat
from devices.network.ops.conv import Conv
from devices.network.ops.dropout import ChannelDropout, Dropout
from devices.network.ops.linear import Linear
from devices.network.ops.losses import CrossEntropy, DistilledCrossEntropy, SimilarityLoss, WeightedSum
from devices.network.ops.matmul import MatMul
from devices.network.ops.mul import Mul
from devices.network.ops.norms import (
    BatchNorm,
    ChannelNorm,
    FrozenNorm,
    GroupNorm,
    LayerNorm,
    RecomputedBatchNorm,
    ShiftedNorm,
)
from devices.network.ops.op import Op, Unknown, weights_to_a_code
from devices.network.ops.pad import Pad, Shortcut
from devices.network.ops.pools import AdaptiveAvgPool, AvgPool, MaxPool
from devices.network.ops.quantize import Quantize
from devices.network.ops.rearranged import Expand, Permute, Slice
from devices.network.ops.row import Row
from devices.network.ops.scale import Affine, Scale
from devices.network.ops.softmax import Softmax
from devices.network.ops.spread import SpatialStd
from devices.network.ops.view import View

__all__ = [
    "ELU",
    "GELU",
    "OPS",
    "AdaptiveAvgPool",
    "Add",
    "Affine",
    "AvgPool",
    "BatchNorm",
    "Call",
    "Cat",
    "ChannelDropout",
    "ChannelNorm",
    "Conv",
    "CrossEntropy",
    "DistilledCrossEntropy",
    "Dropout",
    "Expand",
    "FrozenNorm",
    "GroupNorm",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MatMul",
    "MaxPool",
    "Mish",
    "Mul",
    "Op",
    "Pad",
    "Permute",
    "Quantize",
    "ReLU",
    "RecomputedBatchNorm",
    "Row",
    "Scale",
    "ShiftedNorm",
    "Shortcut",
    "Sigmoid",
    "SimilarityLoss",
    "Slice",
    "Softmax",
    "SpatialStd",
    "Swish",
    "Tanh",
    "Unknown",
    "View",
    "WeightedSum",
    "of_function",
    "of_module_class",
    "register",
    "weights_to_a_code",
]  # fmt: skip

OPS: list[type[Op]] = [
    Conv,
    Linear,
    BatchNorm,
    RecomputedBatchNorm,
    GroupNorm,
    LayerNorm,
    ChannelNorm,
    FrozenNorm,
    ShiftedNorm,
    Affine,
    Scale,
    ReLU,
    LeakyReLU,
    Swish,
    GELU,
    Mish,
    Sigmoid,
    Tanh,
    ELU,
    Softmax,
    Quantize,
    MaxPool,
    AvgPool,
    AdaptiveAvgPool,
    Add,
    Mul,
    MatMul,
    Cat,
    View,
    Slice,
    Permute,
    Expand,
    Pad,
    Shortcut,
    Dropout,
    ChannelDropout,
    CrossEntropy,
    DistilledCrossEntropy,
    SimilarityLoss,
    WeightedSum,
    SpatialStd,
]
FRAMEWORKS = ("torch.nn.", "torchvision.ops.")
"""Packages whose classes of modules go by name."""


def register(op: type[Op]) -> type[Op]:
    """Add an operation from outside; also a decorator. Raises ValueError for a name that is taken."""
    for taken in OPS:
        same = {*op.modules, *op.functions}.intersection((*taken.modules, *taken.functions))
        if op.kind == taken.kind or same:
            raise ValueError(f"operation {op.kind!r} is there already: {taken.__name__}")
    OPS.append(op)
    return op


def of_module_class(module_class: type, op_kind: str | None = None) -> type[Op] | None:
    """The operation of a class of modules: by its own ``op_kind``, else by what it derives from."""
    if op_kind is not None:
        return next((op for op in OPS if op.kind == op_kind), None)
    by_class = {known: op for op in OPS for known in op.modules}
    return next((by_class[key] for key in _keys(module_class) if key in by_class), None)


def _keys(module_class: type) -> Iterator[type | str]:
    """A class and its bases, the nearest first; those of the framework also by name.

    What derives from a layer and computes something else, by a ``forward`` of its own, is not that layer.
    """
    for base in module_class.__mro__:
        yield base
        if base.__module__.startswith(FRAMEWORKS):
            yield base.__name__
        elif "forward" in vars(base):
            return


def of_function(name: str) -> type[Op] | None:
    """The operation that a function or a method of tensors computes."""
    return next((op for op in OPS if name in op.functions), None)


def named(accounting: str, ops: Iterable[type[Op]] = OPS) -> tuple[str, ...]:
    """The kinds of operations that an accounting has."""
    return tuple(dict.fromkeys(op.kind for op in ops if accounting in op.costs))
