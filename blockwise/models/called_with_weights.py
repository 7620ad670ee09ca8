"""Convolutions and linear layers that code calls as functions, with weights that stand elsewhere.

``F.conv2d(F.pad(x, ...), self.weight, self.bias, self.stride)`` is how layers pad as TensorFlow does, or
causally.
"""

from typing import Any

import torch
from torch import fx, nn

from blockwise.models.editing import Editing, argument, known, name_of, stood_at
from blockwise.models.functions import TORCH

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
OPTIONS: tuple[tuple[str, int, Any], ...] = (
    ("stride", 3, 1), ("padding", 4, 0), ("dilation", 5, 1), ("groups", 6, 1),
)  # fmt: skip


def layer_of(editing: Editing, node: fx.Node) -> nn.Module | None:
    """The layer with these weights, if they are parameters as they are and nothing else's; None otherwise."""
    called, source = name_of(node), argument(node, "input", 0)
    if called not in (*CONVOLUTIONS, "linear") or not isinstance(source, fx.Node):
        return None
    weight, bias = argument(node, "weight", 1), argument(node, "bias", 2)
    if not _own(weight) or not (bias is None or _own(bias)):
        return None
    if called == "linear" and len(source.meta["shape"]) != 1:
        return None
    parameters = {"weight": weight, "bias": bias}
    found = {
        key: None if of is None else editing.root.get_parameter(str(of.target))
        for key, of in parameters.items()
    }
    made = _made(node, called, found["weight"], has_bias=bias is not None)
    with torch.no_grad():
        for key, value in found.items():
            if value is not None:
                getattr(made, key).copy_(value)
    return stood_at(made, **{key: None if of is None else str(of.target) for key, of in parameters.items()})


def got(node: fx.Node) -> str:
    """What a function is that no layer stands for."""
    called = name_of(node)
    if called in CONVOLUTIONS:
        return f"{called!r} of weights that are computed, or that others have too"
    return f"the operation {called!r}"


def _own(node: Any) -> bool:
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return False
    return bool(node.meta["trained"]) and len(node.users) == 1


def _made(node: fx.Node, called: str, weight: Any, *, has_bias: bool) -> nn.Module:
    outputs, inputs, *kernel = weight.shape
    if called == "linear":
        return nn.Linear(inputs, outputs, has_bias, device=weight.device)
    options = {name: known(argument(node, name, at, usual)) for name, at, usual in OPTIONS}
    options |= {key: tuple(value) for key, value in options.items() if isinstance(value, list)}
    inputs *= options["groups"]
    return TORCH[called](inputs, outputs, tuple(kernel), bias=has_bias, device=weight.device, **options)
