"""Small pieces of C text of float operations."""

import math
from collections.abc import Sequence

import numpy as np

from blockwise.firmware.shapes import as_map

Dims = tuple[int, int, int]
"""Height, width and channels of a map; a flat tensor is a map of one pixel."""


def dims_of(shape: Sequence[int]) -> Dims:
    """Of a shape without the batch: (C, H, W), (C, L) or (F,)."""
    channels, height, width = as_map(shape)
    return height, width, channels


def number(value: float) -> str:
    """A float literal that is read as these very bits; infinity as compilers have it built in."""
    if math.isinf(value):
        return f"{'-' * (value < 0)}__builtin_inff()"
    text = f"{float(np.float32(value)):.9g}"
    return f"{text}f" if any(mark in text for mark in ".en") else f"{text}.0f"


def numbers(values: Sequence[int]) -> str:
    """An initialiser."""
    return f"{{{', '.join(map(str, values))}}}"


def map_of(batch: int, dims: Dims) -> str:
    """``struct map`` as an initialiser."""
    return numbers((batch, *dims))


def call(function: str, *arguments: object) -> str:
    """A statement."""
    return f"{function}({', '.join(map(str, arguments))});"
