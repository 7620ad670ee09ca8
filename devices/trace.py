"""Read the layers, shapes and parameter counts off a PyTorch module, without computing anything.

The module is traced symbolically (torch.fx) and its shapes are found on an empty batch.
"""

import copy
import math
import operator
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from devices.errors import InputError
from devices.network import Layer

MODULE_KINDS: dict[type[nn.Module], str] = {
    nn.Conv2d: "conv",
    nn.Linear: "linear",
    nn.BatchNorm1d: "batch_norm",
    nn.BatchNorm2d: "batch_norm",
    nn.ReLU: "relu",
    nn.MaxPool2d: "max_pool",
    nn.AdaptiveAvgPool2d: "avg_pool",
    nn.Flatten: "view",
    nn.Identity: "view",
}
FUNCTION_KINDS: dict[Any, str] = {operator.add: "add", torch.add: "add"}
BATCH = 0  # an empty batch has shapes but nothing to compute; meta tensors would load the compiler


def kind_of_module(module: nn.Module) -> str | None:
    """The cost row of a module: its own ``op_kind``, or that of the PyTorch class it derives from."""
    own = getattr(module, "op_kind", None)
    if own is not None:
        return str(own)
    return next((kind for base, kind in MODULE_KINDS.items() if isinstance(module, base)), None)


class _Tracer(fx.Tracer):
    """Stops at every module that has a cost row, quantized layers included."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return kind_of_module(m) is not None


def trace(module: nn.Module, inputs: Mapping[str, tuple[int, ...]], prefix: str) -> tuple[Layer, ...]:
    """The layers of ``module`` in execution order, named ``prefix.<path>``.

    ``inputs`` gives, for each argument of ``module.forward``, the name of the layer it comes from
    and its shape without the batch (an empty shape stands for class labels). Raises InputError
    naming the operation that has no cost row.
    """
    twin = copy.deepcopy(module).cpu().eval()
    graph_module = fx.GraphModule(twin, _Tracer().trace(twin))
    with warnings.catch_warnings(action="ignore"):  # of statistics of nothing
        ShapeProp(graph_module).propagate(*(_example(shape) for shape in inputs.values()))
    placeholders = [node for node in graph_module.graph.nodes if node.op == "placeholder"]
    names = dict(zip(placeholders, inputs, strict=True))
    layers = []
    for node in graph_module.graph.nodes:
        if node.op in ("placeholder", "output"):
            continue
        names[node] = f"{prefix}.{node.target if node.op == 'call_module' else node.name}"
        layers.append(_layer(node, twin, names))
    return tuple(layers)


def _example(shape: tuple[int, ...]) -> torch.Tensor:
    dtype = torch.float32 if shape else torch.int64
    return torch.empty(BATCH, *shape, dtype=dtype)


def _layer(node: fx.Node, root: nn.Module, names: Mapping[fx.Node, str]) -> Layer:
    module = root.get_submodule(str(node.target)) if node.op == "call_module" else None
    kind = kind_of_module(module) if module is not None else FUNCTION_KINDS.get(node.target)
    if kind is None:
        raise InputError(
            f"layer {names[node]}", got=node.target, wanted="an operation with a cost row",
            do="add a row to devices/costs.py",
        )  # fmt: skip
    sources = tuple(names[source] for source in node.all_input_nodes)
    shape = tuple(cast(Any, node.meta["tensor_meta"]).shape[1:])
    return replace(Layer(names[node], kind, sources, shape), **_parameters(module))


def _parameters(module: nn.Module | None) -> dict[str, Any]:
    if isinstance(module, nn.MaxPool2d):
        return {"window": math.prod(_pair(module.kernel_size))}
    weight = getattr(module, "weight", None)
    if module is None or weight is None:
        return {}
    bias = module.bias.numel() if isinstance(module.bias, torch.Tensor) else 0
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return {"biases": weight.numel() + bias, "buffers": 2 * weight.numel()}
    return {"weights": weight.numel(), "biases": bias, "filter_size": weight[0].numel()}


def _pair(value: int | Sequence[int]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)
