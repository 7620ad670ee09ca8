"""The layers of a network as the functions of PyTorch that compute them at rest, with all their options.

A function of ``torch.nn.functional`` goes by its name there and takes the same options and tensors; the
others are those of :mod:`blockwise.deployed.program`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

import torch

from devices.network import Layer, ops
from devices.network.ops import Op

Entry = TypeVar("Entry")
Shapes = Mapping[str, tuple[int, ...]]
"""Of the outputs of layers, without the batch."""
LARGEST = float(torch.finfo(torch.float32).max)
OUTSIDE = "own:"
"""Before the name of an operation that no package of ours has: nothing else is to be taken for it."""
TENSORS = ("weight", "bias", "running_mean", "running_var", "scale", "shift")
"""Of a module, which its function takes by the same names."""
SAME = MappingProxyType({name: name for name in TENSORS})
Call = tuple[str, dict[str, Any]]
"""The name of a function, and its options."""


@dataclass(frozen=True)
class Part:
    """A function that a layer consists of, the shape of what it makes, and the tensors that it takes.

    ``takes`` are those of the module by the function's arguments; ``beside`` is the shape in which they
    stand beside a map, where they do, as (C, 1, 1) for a value to a channel.
    """

    call: Call
    shape: tuple[int, ...]
    takes: Mapping[str, str] = field(default_factory=lambda: SAME)
    beside: tuple[int, ...] = ()


@dataclass(frozen=True)
class Step:
    """One operation: what it reads, and what it makes, ``shape`` without the batch.

    ``tensors`` are the names of those of the file that it takes, by the names of its arguments; ``codes``
    says how its weights are packed, if they are; where they are whole numbers they count 2^``exponent``.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, str] = field(default_factory=dict)
    codes: dict[str, Any] | None = None
    exponent: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As it stands in the file."""
        found = asdict(self)
        return {key: value for key, value in found.items() if value not in ({}, None)}


def parts(layer: Layer, shapes: Shapes) -> Iterator[Part]:
    """The functions that a layer is, in order; none where it changes nothing at rest."""
    if layer.op.drops:
        return
    several = _known(SEVERAL, layer.op)
    if several is None:
        yield Part(call(layer.op), layer.shape)
    else:
        yield from several(layer.op, layer, shapes)


def call(op: Op) -> Call:
    """The function of an operation that is one, whatever it reads; of one from outside its own name."""
    found = _known(ONE, op)
    if found is None:
        return f"{OUTSIDE}{op.kind}", _plain(asdict(op))
    name, options = found
    return (name if isinstance(name, str) else name(op)), _plain(options(op))


def _known(table: Mapping[type[Op], Entry], op: Op) -> Entry | None:
    """The entry of the operation, or of what it is a kind of."""
    return next((table[kind] for kind in type(op).__mro__ if kind in table), None)


def _conv(op: Any, layer: Layer, shapes: Shapes) -> Iterator[Part]:
    """What lies outside is zero and as wide on either side; any other border is a step before it."""
    padding = list(op.padding)
    behind = _behind(op, layer.shape, shapes[layer.inputs[0]])
    if op.padding_mode != "zeros" or list(behind) != padding:
        amounts = [n for pair in zip(reversed(padding), reversed(behind), strict=True) for n in pair]
        mode = "constant" if op.padding_mode == "zeros" else op.padding_mode
        sides = zip(shapes[layer.inputs[0]][1:], padding, behind, strict=True)
        shape = (shapes[layer.inputs[0]][0], *(n + before + after for n, before, after in sides))
        yield Part(("pad", {"pad": amounts, "mode": mode}), shape, {})
        padding = [0] * len(padding)
    options = {"stride": op.stride, "padding": padding, "dilation": op.dilation, "groups": op.groups}
    yield Part((f"conv{len(op.kernel)}d", _plain(options)), layer.shape)


def _behind(op: Any, made: Sequence[int], read: Sequence[int]) -> tuple[int, ...]:
    """How far the input reaches beyond its last element, for an output of the shape ``made``."""
    sides = zip(made[1:], read[1:], op.kernel, op.stride, op.padding, op.dilation, strict=True)
    ends = (
        (n, m, (n - 1) * step + gap * (k - 1) + 1 - m - pad, pad, step) for n, m, k, step, pad, gap in sides
    )
    return tuple(pad if pad - step < end <= pad else end for _, _, end, pad, step in ends)


def _max_pool(op: Any, layer: Layer, shapes: Shapes) -> Iterator[Part]:
    options = {
        "kernel_size": op.kernel, "stride": op.stride, "padding": op.padding, "dilation": op.dilation,
        "ceil_mode": _rounds_up(op, op.dilation, layer, shapes),
    }  # fmt: skip
    yield Part((f"max_pool{len(op.kernel)}d", _plain(options)), layer.shape)


def _avg_pool(op: Any, layer: Layer, shapes: Shapes) -> Iterator[Part]:
    options = {
        "kernel_size": op.kernel, "stride": op.stride, "padding": op.padding,
        "ceil_mode": _rounds_up(op, (1,) * len(op.kernel), layer, shapes),
        "count_include_pad": op.counts_padding,
    }  # fmt: skip
    yield Part((f"avg_pool{len(op.kernel)}d", _plain(options)), layer.shape)


def _rounds_up(op: Any, dilation: Sequence[int], layer: Layer, shapes: Shapes) -> bool:
    """Whether the last windows reach beyond the map."""
    sides = zip(shapes[layer.inputs[0]][1:], op.kernel, op.stride, op.padding, dilation, strict=True)
    whole = [(n + 2 * pad - gap * (k - 1) - 1) // step + 1 for n, k, step, pad, gap in sides]
    return whole != list(layer.shape[1:])


def _view(op: Any, layer: Layer, shapes: Shapes) -> Iterator[Part]:
    if shapes[layer.inputs[0]] != layer.shape:
        yield Part(("reshape", {"shape": [-1, *layer.shape]}), layer.shape)


def _shortcut(op: Any, layer: Layer, shapes: Shapes) -> Iterator[Part]:
    """Pixels that are left out, by a pool of windows of one, then channels of zeros."""
    thinned = (shapes[layer.inputs[0]][0], *layer.shape[1:])
    yield Part(("max_pool2d", {"kernel_size": [1, 1], "stride": [op.stride] * 2}), thinned)
    amounts = [0, 0, 0, 0, op.channels_before, op.channels_behind]
    yield Part(("pad", {"pad": amounts, "mode": "constant"}), layer.shape)


def _frozen_norm(op: Any, layer: Layer, shapes: Shapes) -> Iterator[Part]:
    yield Part(("affine", {}), layer.shape, beside=op.beside(layer.shape))


def _channel_norm(op: Any, layer: Layer, shapes: Shapes) -> Iterator[Part]:
    """The layer norm of the map whose channels stand last."""
    channels, *space = layer.shape
    last = list(range(1, len(layer.shape) + 1))
    yield Part(("permute", {"dims": [0, *last[1:], 1]}), (*space, channels), {})
    options = {"normalized_shape": [channels], "eps": op.eps}
    yield Part(("layer_norm", options), (*space, channels))
    yield Part(("permute", {"dims": [0, last[-1], *last[:-1]]}), layer.shape, {})


def _affine(op: Any, layer: Layer, shapes: Shapes) -> Iterator[Part]:
    """Factors and summands of channels, rounded after either."""
    if op.scales:
        yield Part(("mul", {}), layer.shape, {"other": "weight"}, beside=op.beside(layer.shape))
    if op.shifts:
        yield Part(("add", {}), layer.shape, {"other": "bias"}, beside=op.beside(layer.shape))


def _matmul(op: Any, layer: Layer, shapes: Shapes) -> Iterator[Part]:
    yield Part(("matmul", {}), layer.shape)
    if op.factor != 1:
        yield Part(("mul", {"other": op.factor}), layer.shape)


def _slice(op: Any, layer: Layer, shapes: Shapes) -> Iterator[Part]:
    ends = zip(op.starts, layer.shape, op.steps, strict=True)
    stops = [start + (size - 1) * step + 1 for start, size, step in ends]
    options = {"starts": list(op.starts), "stops": stops, "steps": list(op.steps)}
    yield Part(("slice", options), layer.shape)


def _expand(op: Any, layer: Layer, shapes: Shapes) -> Iterator[Part]:
    yield Part(("broadcast_to", {"size": [-1, *layer.shape]}), layer.shape)


def _relu(op: Any) -> dict[str, Any]:
    high = LARGEST if op.high is None else op.high
    return {} if (op.low, op.high) == (0, None) else {"min_val": op.low, "max_val": high}


def _no_options(op: Any) -> dict[str, Any]:
    return {}


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """As JSON has them, which has no tuples and no infinities."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return list(value)
        return max(-LARGEST, min(value, LARGEST)) if isinstance(value, float) else value

    return {key: plain(value) for key, value in options.items()}


SEVERAL: dict[type[Op], Callable[[Any, Layer, Shapes], Iterator[Part]]] = {
    ops.Conv: _conv, ops.MaxPool: _max_pool, ops.AvgPool: _avg_pool, ops.View: _view,
    ops.Shortcut: _shortcut, ops.FrozenNorm: _frozen_norm, ops.ChannelNorm: _channel_norm,
    ops.Affine: _affine, ops.Slice: _slice, ops.Expand: _expand, ops.MatMul: _matmul,
}  # fmt: skip
"""Operations that are several functions, or whose functions follow from shapes as well."""

ONE: dict[type[Op], tuple[str | Callable[[Any], str], Callable[[Any], dict[str, Any]]]] = {
    ops.Linear: ("linear", _no_options),
    ops.BatchNorm: ("batch_norm", lambda op: {"eps": op.eps}),
    ops.GroupNorm: ("group_norm", lambda op: {"num_groups": op.groups, "eps": op.eps}),
    ops.LayerNorm: ("layer_norm", lambda op: {"normalized_shape": op.normalized, "eps": op.eps}),
    ops.ReLU: (lambda op: "hardtanh" if _relu(op) else "relu", _relu),
    ops.LeakyReLU: ("leaky_relu", lambda op: {"negative_slope": op.slope}),
    ops.Swish: (lambda op: "hardswish" if op.hard else "silu", _no_options),
    ops.GELU: ("gelu", lambda op: {"approximate": "tanh" if op.tanh else "none"}),
    ops.Sigmoid: (lambda op: "hardsigmoid" if op.hard else "sigmoid", _no_options),
    ops.Mish: ("mish", _no_options),
    ops.Softmax: ("softmax", lambda op: {"dim": -1}),
    ops.ELU: (
        lambda op: "elu" if op.scale == 1 else "selu",
        lambda op: {"alpha": op.alpha} if op.scale == 1 else {},
    ),
    ops.Tanh: (
        lambda op: "hardtanh" if op.hard else "tanh",
        lambda op: {"min_val": op.low, "max_val": op.high} if op.hard else {},
    ),
    ops.AdaptiveAvgPool: (
        lambda op: f"adaptive_avg_pool{len(op.output)}d", lambda op: {"output_size": op.output}
    ),
    ops.Add: ("add", _no_options),
    ops.Mul: ("mul", _no_options),
    ops.Cat: ("cat", lambda op: {"dim": op.dim}),
    ops.Scale: (
        lambda op: "mul" if op.factor != 1 else "add",
        lambda op: {"other": op.factor if op.factor != 1 else op.shift},
    ),
    ops.Permute: ("permute", lambda op: {"dims": op.dims}),
    ops.Pad: ("pad", lambda op: {"pad": op.amounts, "mode": op.mode}),
}  # fmt: skip
"""Operations that are one function: its name, and its options."""
