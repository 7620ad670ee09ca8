"""Read the layers, shapes and parameter counts off a PyTorch module, without computing anything.

The module is traced symbolically (torch.fx) and its shapes are found on an empty batch.
"""

import contextlib
import copy
import io
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from devices.errors import InputError
from devices.network.layers import Layer

MODULE_KINDS: dict[type[nn.Module], str] = {
    nn.Conv2d: "conv",
    nn.Linear: "linear",
    nn.BatchNorm1d: "batch_norm",
    nn.BatchNorm2d: "batch_norm",
    nn.GroupNorm: "group_norm",
    nn.ReLU: "relu",
    nn.ReLU6: "relu",
    nn.Hardtanh: "relu",
    nn.LeakyReLU: "leaky_relu",
    nn.SiLU: "swish",
    nn.Hardswish: "swish",
    nn.Sigmoid: "sigmoid",
    nn.Hardsigmoid: "sigmoid",
    nn.Dropout: "dropout",
    nn.Dropout2d: "channel_dropout",
    nn.MaxPool2d: "max_pool",
    nn.AvgPool2d: "avg_pool",
    nn.AdaptiveAvgPool2d: "avg_pool",
    nn.Flatten: "view",
    nn.Identity: "view",
}
FUNCTION_KINDS: dict[str, str] = {
    "add": "add",
    "iadd": "add",
    "mul": "mul",
    "imul": "mul",
    "cat": "cat",
    "flatten": "view",
    "relu": "relu",
    "relu6": "relu",
    "adaptive_avg_pool2d": "avg_pool",
    "stochastic_depth": "view",  # a factor per sample, folded into what reads it
}
"""Functions and methods of tensors, by name."""
PAIR = 2  # the least batch that losses between samples take
EMPTY = 0  # a batch with shapes but nothing to compute; for meta tensors torch would load its compiler


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
    abstract = any(parameter.is_meta for parameter in module.parameters())
    twin = (copy.deepcopy(module) if abstract else copy.deepcopy(module).cpu()).eval()
    graph_module = fx.GraphModule(twin, symbolic(twin, prefix))
    _find_shapes(graph_module, [_example(shape, abstract) for shape in inputs.values()], prefix)
    placeholders = [node for node in graph_module.graph.nodes if node.op == "placeholder"]
    names = dict(zip(placeholders, inputs, strict=True))
    layers = []
    for node in graph_module.graph.nodes:
        if node.op in ("placeholder", "output"):
            continue
        path = str(node.target) if node.op == "call_module" else node.name
        taken = f"{prefix}.{path}" in names.values()  # a module that is called twice
        names[node] = f"{prefix}.{node.name if taken else path}"
        layers.append(_layer(node, twin, names))
    return tuple(layers)


def symbolic(module: nn.Module, name: str) -> fx.Graph:
    """The graph of ``module``, with every module that has a cost row as a leaf.

    Raises InputError if torch.fx cannot trace it.
    """
    try:
        return _Tracer().trace(module)
    except Exception as error:  # whatever the module's own code raises on symbolic values
        raise InputError(
            name, got=f"{type(error).__name__}: {_line(error)}", wanted="a network that torch.fx can trace",
            do="choose another model",
        ) from error  # fmt: skip


def links(module: nn.Module, name: str) -> tuple[Layer, ...]:
    """The layers of ``module`` by path, in execution order, with their kinds and what each reads.

    Without shapes, and with a weight only to tell those that have any. An operation that has no cost row
    is a layer of its own kind. Raises InputError if torch.fx cannot trace the module called ``name``.
    """
    layers, names = [], {}
    for node in symbolic(module, name).nodes:
        names[node] = str(node.target) if node.op == "call_module" else node.name
        if node.op not in ("placeholder", "output"):
            called, kind, found = _called(node, module)
            sources = tuple(names[source] for source in node.all_input_nodes)
            has_weights = kind in ("conv", "linear") and found is not None
            layers.append(Layer(names[node], kind or called, sources, (), weights=int(has_weights)))
    return tuple(layers)


def _find_shapes(graph: fx.GraphModule, examples: list[torch.Tensor], name: str) -> None:
    with warnings.catch_warnings(action="ignore"):  # of statistics of nothing
        try:
            with _quiet():
                ShapeProp(graph).propagate(*examples)
        except Exception as error:
            cause = error.__cause__ or error
            shapes = ", ".join("x".join(map(str, x.shape[1:])) for x in examples)
            raise InputError(
                f"{name} on {shapes}", got=f"{type(cause).__name__}: {_line(cause)}",
                wanted="an input that every layer takes", do="use larger images or another model",
            ) from error  # fmt: skip


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """ShapeProp prints a traceback of what it then raises."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield


def _example(shape: tuple[int, ...], abstract: bool) -> torch.Tensor:
    dtype = torch.float32 if shape else torch.int64
    if abstract:
        return torch.empty(PAIR, *shape, dtype=dtype, device="meta")
    return torch.empty(EMPTY, *shape, dtype=dtype)


def _layer(node: fx.Node, root: nn.Module, names: Mapping[fx.Node, str]) -> Layer:
    called, kind, module = _called(node, root)
    if kind is None:
        raise InputError(
            f"layer {names[node]}", got=f"the operation {called!r}", wanted="one with a cost row",
            do="add a row to devices/program/accountings.py",
        )  # fmt: skip
    sources = tuple(names[source] for source in node.all_input_nodes)
    shape = tuple(cast(Any, node.meta["tensor_meta"]).shape[1:])
    return replace(Layer(names[node], kind, sources, shape), **_parameters(module))


def _called(node: fx.Node, root: nn.Module) -> tuple[str, str | None, nn.Module | None]:
    """What a node calls, its cost row, and the module if it is one."""
    module = root.get_submodule(str(node.target)) if node.op == "call_module" else None
    called = type(module).__name__ if module else getattr(node.target, "__name__", str(node.target))
    return called, kind_of_module(module) if module is not None else FUNCTION_KINDS.get(called), module


def _parameters(module: nn.Module | None) -> dict[str, Any]:
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        return {"window": math.prod(_pair(module.kernel_size))}
    if module is not None and kind_of_module(module) == "frozen_norm":
        return {"buffers": sum(b.numel() for b in module.buffers() if b.is_floating_point())}
    weight = getattr(module, "weight", None)
    if module is None or weight is None:
        return {}
    bias = module.bias.numel() if isinstance(module.bias, torch.Tensor) else 0
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return {"biases": weight.numel() + bias, "buffers": 2 * weight.numel()}
    if isinstance(module, nn.GroupNorm):
        return {"biases": weight.numel() + bias, "groups": module.num_groups}
    kernel = math.prod(weight.shape[2:])
    return {
        "weights": weight.numel(), "biases": bias, "filter_size": weight[0].numel(), "kernel": kernel,
    }  # fmt: skip


def _pair(value: int | Sequence[int]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)
