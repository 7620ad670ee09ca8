"""Operators of ONNX that are functions of PyTorch, and kinds of them."""

from collections.abc import Callable
from typing import Any

import torch

ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": torch.add, "Mul": torch.mul, "Sum": torch.add, "Sub": torch.sub, "Div": torch.div,
    "Neg": torch.neg, "Erf": torch.erf, "Pow": torch.pow, "Where": torch.where,
}  # fmt: skip
"""Of maps, and of maps and constants."""

REDUCES: dict[str, Callable[..., Any]] = {
    "ReduceMean": torch.mean, "ReduceSum": torch.sum, "ReduceMax": torch.amax,
}  # fmt: skip
"""Over axes that are named."""

VIEWS = ("Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Expand")
"""Of an initializer, they are the initializer."""

DRAWN = (
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
)  # fmt: skip
"""What these make of a shape alone is no constant: a graph exported in training may write dropout so."""

MASKED = -1e4
"""What scores are lowered by that nobody is to see: summands that go down to it are no parameters."""

REARRANGES = ("Concat", "Expand", "Gather", "Slice", "Split", "Transpose")
