"""Functions of PyTorch that do what operations of ATen do, and how these call them."""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

SAME_NAME = (
    "relu", "relu6", "leaky_relu", "silu", "gelu", "hardswish", "hardsigmoid", "hardtanh", "elu", "selu",
    "mish", "dropout", "pad", "max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "pixel_shuffle", "pixel_unshuffle",
)  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(F, name) for name in SAME_NAME},
    "feature_dropout": F.dropout2d, "constant_pad_nd": F.pad, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
    "mean": torch.mean, "sum": torch.sum, "amax": torch.amax,
    "clamp": torch.clamp, "cat": torch.cat, "stack": torch.stack, "glu": F.glu,
    "add": torch.add, "mul": torch.mul, "sub": torch.sub, "rsub": torch.rsub, "div": torch.div,
    "neg": torch.neg, "erf": torch.erf, "pow": torch.pow, "square": torch.square,
    "permute": torch.permute, "transpose": torch.transpose, "mT": torch.transpose, "select": torch.select,
    "chunk": torch.chunk, "split": torch.split, "split_with_sizes": torch.split,
    "getitem": operator.getitem, "softmax": torch.softmax, "_softmax": torch.softmax,
    "log_softmax": torch.log_softmax, "_log_softmax": torch.log_softmax,
    "matmul": torch.matmul, "bmm": torch.bmm, "unbind": torch.unbind, "squeeze": torch.squeeze,
    "scaled_dot_product_attention": F.scaled_dot_product_attention,
    "einsum": torch.einsum, "where": torch.where, "masked_fill": torch.masked_fill,
    "full_like": torch.full_like, "zeros_like": torch.zeros_like, "ones_like": torch.ones_like,
}  # fmt: skip
"""Operation of ATen -> the function of PyTorch with the same arguments."""

VALUES: dict[str, Callable[..., Any]] = {
    "adaptive_max_pool1d": F.adaptive_max_pool1d, "adaptive_max_pool2d": F.adaptive_max_pool2d,
    "max": torch.amax,
}  # fmt: skip
"""Of the values of maxima; their places are the second result of the operation."""

NAMED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("add", "mul", "sub", "rsub", "div"), ("alpha", "rounding_mode")),
    **dict.fromkeys(
        ("matmul", "bmm", "permute", "transpose", "select", "chunk", "split", "split_with_sizes", "unbind",
         "squeeze", "einsum", "where", "masked_fill"), (),
    ),
}  # fmt: skip
"""The arguments behind the first that are named, where others have another name in PyTorch; all elsewhere."""

DROPPED = ("train", "dtype", "memory_format", "half_to_float", "layout", "device", "pin_memory")
"""Arguments of theirs that say how, not what."""
