"""Layers that code calls as functions, with weights that stand elsewhere.

``F.conv2d(F.pad(x, ...), self.weight, self.bias, self.stride)`` is how layers pad as TensorFlow does, or
causally; ``F.batch_norm(x, self.running_mean, ...)`` how norms with an activation of their own are written.
"""

from operator import attrgetter
from typing import Any

import torch
from torch import fx, nn

from blockwise.layers.norms import BATCH_NORMS
from blockwise.models.editing import Editing, argument, known, name_of, stood_at
from blockwise.models.functions import TORCH
from blockwise.models.only_scaled import only_scaled

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
NORMS = ("batch_norm", "group_norm", "layer_norm")
PARAMETERS = ("weight", "bias")
TENSORS: dict[str, dict[str, int]] = {
    **{name: {"weight": 1, "bias": 2} for name in (*CONVOLUTIONS, "linear")},
    "batch_norm": {"running_mean": 1, "running_var": 2, "weight": 3, "bias": 4},
    "group_norm": {"weight": 2, "bias": 3},
    "layer_norm": {"weight": 2, "bias": 3},
}
"""What layers keep of the arguments of functions of torch.nn.functional: names and positions."""
Found = dict[str, torch.Tensor]
OPTIONS: tuple[tuple[str, int, Any], ...] = (
    ("stride", 3, 1), ("padding", 4, 0), ("dilation", 5, 1), ("groups", 6, 1),
)  # fmt: skip


def layer_of(editing: Editing, node: fx.Node) -> nn.Module | None:
    """The layer with these weights, if they are parameters as they are and nothing else's; None otherwise."""
    called, source = name_of(node), argument(node, "input", 0)
    if called not in TENSORS or not isinstance(source, fx.Node):
        return None
    if called == "linear" and len(source.meta["shape"]) != 1:
        return None
    given = {key: argument(node, key, at) for key, at in TENSORS[called].items()}
    given = {key: of for key, of in given.items() if of is not None}
    if not all(_own(of, trained=key in PARAMETERS) for key, of in given.items()):
        return None
    found = {key: attrgetter(str(of.target))(editing.root) for key, of in given.items()}
    if called == "layer_norm" and list(found) == ["weight"]:
        norm = nn.LayerNorm(*_shape_and_eps(node), elementwise_affine=False)
        return only_scaled(norm, found["weight"], str(given["weight"].target), source.meta["shape"])
    made = _norm(node, called, source, found) if called in NORMS else _made(node, called, found)
    if made is not None:
        with torch.no_grad():
            for key, value in found.items():
                getattr(made, key).copy_(value)
        stood_at(made, **{key: str(of.target) for key, of in given.items()})
    return made


def got(node: fx.Node) -> str:
    """What a function is that no layer stands for."""
    called = name_of(node)
    if called in CONVOLUTIONS:
        return f"{called!r} of weights that are computed, or that others have too"
    return f"the operation {called!r}"


def _own(node: Any, *, trained: bool) -> bool:
    """Whether it is a parameter as it is, or a buffer, which nothing else reads."""
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return False
    return node.meta["trained"] == trained and len(node.users) == 1


def _norm(node: fx.Node, called: str, source: fx.Node, found: Found) -> nn.Module | None:
    """None for a scale without a shift, and for a batch norm that stays at rest."""
    if ("weight" in found) != ("bias" in found):
        return None
    places, affine = source.meta["shape"], "weight" in found
    if called == "group_norm":
        groups, eps = int(known(argument(node, "num_groups", 1))), argument(node, "eps", 4, 1e-5)
        return nn.GroupNorm(groups, places[0], eps, affine)
    if called == "layer_norm":
        return nn.LayerNorm(*_shape_and_eps(node), affine)
    space = max(len(places) - 1, 1)
    if known(argument(node, "training", 5, False)) is not True or space > len(BATCH_NORMS):
        return None
    momentum, eps = argument(node, "momentum", 6, 0.1), argument(node, "eps", 7, 1e-5)
    return BATCH_NORMS[space - 1](places[0], eps, momentum, affine, "running_mean" in found)


def _shape_and_eps(node: fx.Node) -> tuple[list[int], float]:
    """Of a layer norm."""
    return known(argument(node, "normalized_shape", 1)), argument(node, "eps", 4, 1e-5)


def _made(node: fx.Node, called: str, found: Found) -> nn.Module:
    weight, has_bias = found["weight"], "bias" in found
    outputs, inputs, *kernel = weight.shape
    if called == "linear":
        return nn.Linear(inputs, outputs, has_bias, device=weight.device)
    options = {name: known(argument(node, name, at, usual)) for name, at, usual in OPTIONS}
    options |= {key: tuple(value) for key, value in options.items() if isinstance(value, list)}
    inputs *= options["groups"]
    return TORCH[called](inputs, outputs, tuple(kernel), bias=has_bias, device=weight.device, **options)
