"""Operations of ATen as modules of torch.nn, whose weights are filled in by the reader."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

Given = Mapping[str, Any]
Shape = tuple[int, ...]


def _convolution(options: Given, tensors: Mapping[str, Tensor], shape: Shape) -> nn.Module:
    weight, sides = tensors["weight"], len(shape) - 2
    kind: Any = (nn.Conv1d, nn.Conv2d)[sides - 1]
    groups = options.get("groups", 1)
    stride, padding, dilation = (
        _for_each(options.get(name, usual), sides)
        for name, usual in (("stride", 1), ("padding", 0), ("dilation", 1))
    )
    made: nn.Module = kind(
        weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), stride, padding, dilation, groups,
        "bias" in tensors,
    )  # fmt: skip
    return made


def _for_each(given: Any, sides: int) -> Any:
    """A decomposed program may have one number for all sides, in a list."""
    return tuple(given) * sides if isinstance(given, list | tuple) and len(given) == 1 else given


def _linear(options: Given, tensors: Mapping[str, Tensor], shape: Shape) -> nn.Module:
    features, in_features = tensors["weight"].shape
    return nn.Linear(in_features, features, "bias" in tensors)


def _batch_norm(options: Given, tensors: Mapping[str, Tensor], shape: Shape) -> nn.Module:
    kind = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
    momentum = options.get("momentum", 0.1) or None  # a cumulative mean is exported as 0
    return kind(
        shape[1], options.get("eps", 1e-5), momentum, "weight" in tensors, "running_mean" in tensors
    )  # fmt: skip


def _layer_norm(options: Given, tensors: Mapping[str, Tensor], shape: Shape) -> nn.Module:
    affine, bias = "weight" in tensors, "bias" in tensors
    return nn.LayerNorm(options["normalized_shape"], options.get("eps", 1e-5), affine, bias)


def _group_norm(options: Given, tensors: Mapping[str, Tensor], shape: Shape) -> nn.Module:
    return nn.GroupNorm(options["num_groups"], shape[1], options.get("eps", 1e-5), "weight" in tensors)


def _instance_norm(options: Given, tensors: Mapping[str, Tensor], shape: Shape) -> nn.Module:
    """A group norm of one channel each; one that keeps statistics is none."""
    if "running_mean" in tensors:
        raise ValueError(tensors.keys())
    return nn.GroupNorm(shape[1], shape[1], options.get("eps", 1e-5), "weight" in tensors)


def _shuffle(options: Given, tensors: Mapping[str, Tensor], shape: Shape) -> nn.Module:
    return nn.ChannelShuffle(options["groups"])


LAYERS: dict[str, Callable[[Given, Mapping[str, Tensor], Shape], nn.Module]] = {
    "conv1d": _convolution, "conv2d": _convolution, "linear": _linear, "batch_norm": _batch_norm,
    "layer_norm": _layer_norm, "group_norm": _group_norm, "instance_norm": _instance_norm,
    "channel_shuffle": _shuffle,
}  # fmt: skip
"""Operation of ATen -> the layer, of its options, its tensors and the shape of its output."""
