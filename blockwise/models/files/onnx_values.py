"""What an ONNX graph computes itself, at rest, by onnx.reference."""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, fx

from blockwise.models.files.comparing import check_same
from blockwise.system.notes import note

PRODUCTS = 1_500_000_000
"""Multiplications with which a graph is still compared: half a second of the evaluator's, twice."""

IN_POOLS = 2000
"""As many take as long as one value of one window of a pool, which the evaluator visits in Python."""

TYPES = {1: torch.float32, 10: torch.float16, 11: torch.float64, 16: torch.bfloat16}
"""As onnx.TensorProto numbers them."""

Values = Mapping[str, Tensor]


def compare(made: fx.GraphModule, model: Any, names: tuple[str, str], values: Values, subject: str) -> None:
    """Compare what was read of ``model`` with it, unless that takes long, which is told.

    ``names`` are those of its input and its output, ``values`` what an example was under every name. Raises
    InputError for other values.
    """
    from onnx.reference import ReferenceEvaluator  # type: ignore[import-not-found, unused-ignore]

    source, output = names
    if products(model, values) > PRODUCTS:
        note(f"{subject} is not compared with its own values: onnx.reference would take long")
        return

    @cache
    def evaluator() -> Any:
        return ReferenceEvaluator(_at_rest(model))

    def computed(x: Tensor) -> Tensor:
        (found,) = evaluator().run([output], {source: x.numpy()})
        return torch.from_numpy(found)

    (given,) = (x.type.tensor_type.elem_type for x in model.graph.input if x.name == source)
    shape, lowest = tuple(values[source].shape), _lowest(model)
    check_same(made, computed, shape, subject, given=TYPES.get(given, torch.uint8), precision=lowest)


def products(model: Any, values: Values) -> int:
    """Multiplications of the graph, or what takes as long."""
    total = 0
    for node in model.graph.node:
        made = values.get(node.output[0])
        if made is None:  # a part of what was read at once
            continue
        if node.op_type == "MatMul":
            total += made.numel() * values[node.input[1]].shape[-2]
        elif node.op_type in ("Conv", "Gemm"):
            total += made.numel() * values[node.input[1]].numel() // made.shape[1]
        elif node.op_type in ("MaxPool", "AveragePool"):
            window = next(list(a.ints) for a in node.attribute if a.name == "kernel_shape")
            total += made.numel() * math.prod(window) * IN_POOLS
    return total


def _lowest(model: Any) -> torch.dtype:
    """The lowest precision of its weights and casts."""
    types = {x.data_type for x in model.graph.initializer}
    casts = (a for node in model.graph.node if node.op_type == "Cast" for a in node.attribute)
    types |= {a.i for a in casts if a.name == "to"}
    return next((TYPES[x] for x in (16, 10) if x in types), torch.float32)


def _at_rest(model: Any) -> Any:
    """A copy whose norms and dropouts are at rest, whatever mode it was exported in."""
    rest = type(model)()
    rest.CopyFrom(model)
    for node in rest.graph.node:
        if node.op_type == "Dropout":
            del node.input[2:]
        if node.op_type == "BatchNormalization":
            del node.output[1:]
            kept = [a for a in node.attribute if a.name != "training_mode"]
            del node.attribute[:]
            node.attribute.extend(kept)
    return rest
