"""Operators of ONNX as modules of torch.nn: each of an example, its constant inputs and its attributes."""

from typing import Any

import torch
from torch import Tensor, nn

from blockwise.models.files.onnx_activations import ACTIVATIONS
from blockwise.models.files.onnx_maker import Constants, Maker, Options, Unsuitable
from blockwise.models.reshaping import Padding, Reshape

SHAPES = ("Shape", "Size")
"""Operators that read only the shape of a map."""


WEIGHTS = {
    "Conv": (1, 2), "Gemm": (1, 2), "MatMul": (1,), "BatchNormalization": (1, 2),
    "LayerNormalization": (1, 2), "GroupNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
}  # fmt: skip
"""Operator -> which of its inputs are trained."""

PADS = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}
"""As torch.nn.functional.pad has them."""

FLOATING = (1, 10, 11, 16)
"""float32, float16, float64 and bfloat16, as onnx.TensorProto numbers them."""


def _around(options: Options, x: Tensor, kernel: list[int]) -> tuple[list[int], list[int]]:
    """What stands before and behind each side."""
    rank = len(kernel)
    if options.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER"):
        strides, spread = options.get("strides", [1] * rank), options.get("dilations", [1] * rank)
        pads = [
            max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            for n, s, d, k in zip(x.shape[2:], strides, spread, kernel, strict=True)
        ]
        less, more = [p // 2 for p in pads], [p - p // 2 for p in pads]
        return (less, more) if options["auto_pad"] == b"SAME_UPPER" else (more, less)
    pads = list(options.get("pads", [0] * 2 * rank))
    return pads[:rank], pads[rank:]


def _bordered(module: nn.Module, before: list[int], behind: list[int]) -> nn.Module:
    """``module`` behind a border that is not the same on both sides."""
    amounts = tuple(n for pair in zip(reversed(before), reversed(behind), strict=True) for n in pair)
    return nn.Sequential(Padding(amounts), module)


def _convolution(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    if 1 not in constants:
        raise Unsuitable("weights that are computed")
    weight, groups, rank = constants[1], options.get("group", 1), x.ndim - 2
    if rank not in (1, 2):
        raise Unsuitable(f"maps of {rank} dimensions")
    before, behind = _around(options, x, list(weight.shape[2:]))
    kind: Any = (nn.Conv1d, nn.Conv2d)[rank - 1]
    padding = tuple(before) if before == behind else 0
    conv = kind(
        weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]),
        tuple(options.get("strides", [1] * rank)), padding, tuple(options.get("dilations", [1] * rank)),
        groups, 2 in constants,
    )  # fmt: skip
    _fill(conv, weight, constants.get(2))
    return conv if before == behind else _bordered(conv, before, behind)


def _gemm(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    factors = options.get("alpha", 1.0), options.get("beta", 1.0)
    if 1 not in constants or options.get("transA", 0) or factors != (1.0, 1.0):
        raise Unsuitable("computed weights, a transposed input or factors")
    weight = constants[1] if options.get("transB", 0) else constants[1].T
    bias = constants.get(2)
    return _linear(
        weight, bias.flatten().expand(len(weight)) if bias is not None and bias.numel() == 1 else bias
    )


def _matmul(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    if 1 not in constants or constants[1].ndim != 2:
        raise Unsuitable("two maps")
    return _linear(constants[1].T, None)


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    _fill(layer, weight, bias)
    return layer


def _fill(layer: nn.Module, weight: Tensor | None, bias: Tensor | None) -> None:
    with torch.no_grad():
        for name, value in (("weight", weight), ("bias", bias)):
            if value is not None:
                own: Tensor = getattr(layer, name)
                own.copy_(value.reshape(own.shape))


def _batch_norm(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    kind = nn.BatchNorm2d if x.ndim == 4 else nn.BatchNorm1d
    momentum = 1 - options.get("momentum", 0.9) or None  # a cumulative mean is exported as 1
    norm = kind(x.shape[1], options.get("epsilon", 1e-5), momentum)
    _fill(norm, constants[1], constants[2])
    for name, index in (("running_mean", 3), ("running_var", 4)):
        getattr(norm, name).copy_(constants[index])
    return norm


def _layer_norm(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    shape, eps = list(x.shape[options.get("axis", -1) :]), options.get("epsilon", 1e-5)
    norm = nn.LayerNorm(shape, eps, bias=2 in constants)
    _fill(norm, constants[1], constants.get(2))
    return norm


def _group_norm(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    norm = nn.GroupNorm(options["num_groups"], x.shape[1], options.get("epsilon", 1e-5))
    _fill(norm, constants[1], constants[2])
    return norm


def _instance_norm(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    """A group norm of one channel each."""
    return _group_norm(x, constants, {"num_groups": x.shape[1], **options})


def _max_pool(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    kernel = options["kernel_shape"]
    before, behind = _around(options, x, kernel)
    if before != behind:
        raise Unsuitable("a border that is not the same on both sides")
    pool: Any = (nn.MaxPool1d, nn.MaxPool2d)[len(kernel) - 1]
    strides, spread = options.get("strides", [1] * len(kernel)), options.get("dilations", [1] * len(kernel))
    whole = bool(options.get("ceil_mode", 0))
    return pool(tuple(kernel), tuple(strides), tuple(before), tuple(spread), ceil_mode=whole)  # type: ignore[no-any-return]


def _average_pool(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    kernel = options["kernel_shape"]
    before, behind = _around(options, x, kernel)
    if before != behind:
        raise Unsuitable("a border that is not the same on both sides")
    pool: Any = (nn.AvgPool1d, nn.AvgPool2d)[len(kernel) - 1]
    strides, whole = options.get("strides", [1] * len(kernel)), bool(options.get("ceil_mode", 0))
    counted = bool(options.get("count_include_pad", 0))
    return pool(tuple(kernel), tuple(strides), tuple(before), whole, counted)  # type: ignore[no-any-return]


def _global(x: Tensor, *, largest: bool) -> nn.Module:
    if x.ndim not in (3, 4):
        raise Unsuitable("flat features")
    if largest:
        return nn.MaxPool1d(x.shape[2]) if x.ndim == 3 else nn.MaxPool2d((x.shape[2], x.shape[3]))
    return nn.AdaptiveAvgPool1d(1) if x.ndim == 3 else nn.AdaptiveAvgPool2d(1)


def _reshape(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    sizes = [x.shape[i] if n == 0 else int(n) for i, n in enumerate(constants[1].tolist())]
    return _same_batch(x, x.reshape(sizes))


def _squeeze(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    axes = options.get("axes") or (constants[1].tolist() if 1 in constants else [])
    return _same_batch(x, x.squeeze(tuple(axes)) if axes else x.squeeze())


def _unsqueeze(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    made, axes = x, options.get("axes") or constants[1].tolist()
    for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes):
        made = made.unsqueeze(axis)
    return _same_batch(x, made)


def _flatten(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    if options.get("axis", 1) != 1:
        raise Unsuitable(f"axis {options['axis']}")
    return nn.Flatten()


def _same_batch(x: Tensor, made: Tensor) -> nn.Module:
    if made.ndim < 2 or made.shape[0] != x.shape[0]:
        raise Unsuitable(f"{tuple(x.shape)} to {tuple(made.shape)}")
    return Reshape(tuple(made.shape[1:]))


def _pad(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    pads = options.get("pads") or constants[1].tolist()
    mode = PADS.get(options.get("mode", b"constant").decode())
    value = float(constants[2]) if 2 in constants and constants[2].numel() else options.get("value", 0.0)
    before, behind = pads[: x.ndim], pads[x.ndim :]
    if value or mode is None or 3 in constants or any((*before[:2], *behind[:2])):
        raise Unsuitable("other than zeros, reflections or repetitions around space")
    amounts = (n for pair in zip(reversed(before[2:]), reversed(behind[2:]), strict=True) for n in pair)
    return Padding(tuple(map(int, amounts)), mode)


def _depth_to_space(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    """The order of channels that pixels are made of is told, and makes no difference to one channel."""
    size = options["blocksize"]
    if options.get("mode", b"DCR") != b"CRD" and x.shape[1] != size * size:
        raise Unsuitable("places before channels (mode DCR)")
    return nn.PixelShuffle(size)


def _space_to_depth(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    if x.shape[1] != 1:
        raise Unsuitable("places before channels")
    return nn.PixelUnshuffle(options["blocksize"])


def _cast(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    if options["to"] not in FLOATING:
        raise Unsuitable("a type that is not floating")
    return nn.Identity()


def _dropout(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    return nn.Dropout(float(constants[1]) if 1 in constants else options.get("ratio", 0.5))


LAYERS: dict[str, Maker] = {
    "Conv": _convolution,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    **ACTIVATIONS,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": lambda x, constants, options: _global(x, largest=False),
    "GlobalMaxPool": lambda x, constants, options: _global(x, largest=True),
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Pad": _pad,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Dropout": _dropout,
    "Identity": lambda x, constants, options: nn.Identity(),
    "Cast": _cast,
}
