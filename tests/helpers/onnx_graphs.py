"""ONNX graphs written node by node, and what they compute."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blockwise import models

SHAPE = (1, 8, 8)
Node = tuple[str, tuple[str, ...], str, dict[str, Any]]

needs_onnx = pytest.mark.skipif(
    importlib.util.find_spec("onnx") is None, reason="the extra onnx is not installed"
)


def graph(path: Path, nodes: list[Node], weights: dict[str, Any], opset: int = 18) -> str:
    """Nodes are (operator, inputs, output, attributes); from x (1, 1, 8, 8) to y."""
    from onnx import TensorProto, helper, numpy_helper, save

    made = [
        helper.make_node(kind, list(inputs), [output], **options) for kind, inputs, output, options in nodes
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *SHAPE])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "classes"])]
    values = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    whole = helper.make_graph(made, "net", inputs, outputs, values)
    save(helper.make_model(whole, opset_imports=[helper.make_opsetid("", opset)]), path)
    return str(path)


def normal(*shape: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Numbers of mean 0 and variance 1."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def error(path: str) -> float:
    """How far what Blockwise reads of the graph is from onnx.reference, at most, of its largest value."""
    import torch
    from onnx.reference import ReferenceEvaluator

    x = normal(3, *SHAPE, seed=1)
    (expected,) = ReferenceEvaluator(path).run(None, {"x": x})
    found = models.build(path, SHAPE).eval()(torch.from_numpy(x)).detach().numpy()
    return float(np.abs(found - expected).max() / np.abs(expected).max())
