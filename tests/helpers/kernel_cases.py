"""Cases for the C kernels of sums: shapes, operands as bytes, and the sums by PyTorch in float64."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

CODINGS = ("int8", "uint4", "residue", "states", "int32")
"""In the order of the C enumeration."""
LIMITS = dict(zip(CODINGS, ((-127, 127), (0, 15), (-112, 127), (-7, 7), (-999, 999)), strict=True))
FILLS = ("random", "highest", "lowest", "extremes", "sparse", "zero")


@dataclass(frozen=True)
class Geometry:
    """A layer's shapes, in the order of the C structure."""

    images: int
    height: int
    width: int
    channels: int
    rows: int
    columns: int
    filters: int
    kernel_height: int
    kernel_width: int
    stride_y: int
    stride_x: int
    padding_y: int
    padding_x: int
    dilation_y: int = 1
    dilation_x: int = 1
    groups: int = 1

    @property
    def macs(self) -> int:
        """Products of one pass, those with the padding counted."""
        taps = self.kernel_height * self.kernel_width
        return self.images * self.rows * self.columns * self.filters * taps * self.seen

    @property
    def seen(self) -> int:
        """Channels that a filter sees."""
        return self.channels // self.groups


def geometry(
    images: int, size: tuple[int, int], channels: int, filters: int, kernel: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (1, 1), padding: tuple[int, int] = (1, 1), dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Geometry:  # fmt: skip
    """The geometry of a convolution."""
    rows, columns = (
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    )
    steps = (*kernel, *stride, *padding, *dilation, groups)
    return Geometry(images, *size, channels, rows, columns, filters, *steps)


def linear(images: int, inputs: int, outputs: int) -> Geometry:
    """The geometry of a linear layer."""
    return geometry(images, (1, 1), inputs, outputs, (1, 1), (1, 1), (0, 0))


@dataclass(frozen=True)
class Case:
    """One layer's operands as they lie in memory, and as numbers."""

    geometry: Geometry
    x: str  # coding
    w: str
    e: str
    pooled: bool
    fill: str
    seed: int

    def __post_init__(self) -> None:
        g, rng = self.geometry, np.random.default_rng(self.seed)
        rows, columns = (g.rows // 2, g.columns // 2) if self.pooled else (g.rows, g.columns)
        values = {
            "x": _filled(rng, self.x, self.fill, (g.images, g.height, g.width, g.channels)),
            "w": _filled(rng, self.w, self.fill, (g.filters, g.kernel_height, g.kernel_width, g.seen)),
            "e": _filled(rng, self.e, self.fill, (g.images, rows, columns, g.filters)),
        }
        positions = rng.integers(0, 4, values["e"].shape, dtype=np.int64)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "positions", positions)

    values: Any = None
    positions: Any = None

    def words(self) -> NDArray[np.uint32]:
        """As tests/helpers/firmware/kernels.c reads it."""
        parts = [_bytes(self.values[name], getattr(self, name)) for name in ("x", "w", "e")]
        parts.append(_packed(self.positions.ravel(), 2))
        codings = [CODINGS.index(coding) for coding in (self.x, self.w, self.e)]
        head = [*astuple(self.geometry), *codings, int(self.pooled), *(len(part) for part in parts)]
        padded = [np.frombuffer(part + bytes(-len(part) % 4), np.uint32) for part in parts]
        return np.concatenate([np.array(head, np.uint32), *padded])

    def sums(self) -> NDArray[np.int64]:
        """y, ex and G, channels last, one behind the other."""
        g = self.geometry
        x, w, e = (_channels_first(_meaning(self.values[n], getattr(self, n))) for n in ("x", "w", "e"))
        if self.pooled:
            e = _spread(e, _channels_first(self.positions).long(), (g.rows, g.columns))
        how = (g.stride_y, g.stride_x), (g.padding_y, g.padding_x), (g.dilation_y, g.dilation_x), g.groups
        found = [
            torch.nn.functional.conv2d(x, w, None, *how),
            conv2d_input(x.shape, w, e, *how),
            conv2d_weight(x, w.shape, e, *how),
        ]
        flat = [sums.permute(0, 2, 3, 1).contiguous().numpy().ravel() for sums in found]
        return np.concatenate(flat).astype(np.int64)


def _filled(rng: np.random.Generator, coding: str, fill: str, shape: tuple[int, ...]) -> NDArray[np.int64]:
    low, high = LIMITS[coding]
    if fill == "random":
        return rng.integers(low, high + 1, shape, dtype=np.int64)
    if fill == "sparse":
        return np.where(rng.random(shape) < 0.9, 0, rng.integers(low, high + 1, shape, dtype=np.int64))
    if fill == "extremes":
        return rng.choice(np.array([low, high]), shape)
    return np.full(shape, {"highest": high, "lowest": low, "zero": 0}[fill], dtype=np.int64)


def _meaning(values: NDArray[np.int64], coding: str) -> NDArray[np.int64]:
    return values >> 4 if coding == "residue" else values


def _bytes(values: NDArray[np.int64], coding: str) -> bytes:
    if coding in ("uint4", "states"):
        return _packed(values.ravel(), 4)
    return values.astype(np.int32 if coding == "int32" else np.int8).tobytes()


def _packed(values: NDArray[np.int64], bits: int) -> bytes:
    """Low bits first."""
    each = 8 // bits
    codes = np.pad(values & (1 << bits) - 1, (0, -len(values) % each)).reshape(-1, each)
    return bytes((codes << bits * np.arange(each)).sum(1).astype(np.uint8))


def _channels_first(values: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(values).double().permute(0, 3, 1, 2)


def _spread(pooled: Tensor, positions: Tensor, size: tuple[int, int]) -> Tensor:
    """Errors of windows at their places in the map."""
    found = torch.zeros(*pooled.shape[:2], *size, dtype=pooled.dtype)
    for place in range(4):
        there = found[:, :, place // 2 : size[0] // 2 * 2 : 2, place % 2 : size[1] // 2 * 2 : 2]
        there += torch.where(positions == place, pooled, 0)
    return found


SHAPES = (
    geometry(1, (6, 6), 8, 4),
    geometry(1, (5, 7), 3, 5),
    geometry(2, (9, 6), 16, 6),
    geometry(1, (8, 8), 20, 2, (3, 3), (2, 2)),
    geometry(1, (7, 9), 12, 3, (3, 2), (2, 1), (0, 1)),
    geometry(1, (6, 5), 1, 7),
    geometry(2, (4, 4), 5, 9, (2, 2), (1, 1), (0, 0)),
    geometry(1, (4, 6), 24, 11, (1, 1), (1, 1), (0, 0)),
    geometry(1, (4, 4), 30, 4, (1, 1), (2, 2), (0, 0)),
    geometry(1, (3, 2), 8, 8, (5, 5), (1, 1), (2, 2)),
    geometry(1, (2, 2), 4, 4, (7, 7), (1, 1), (3, 3)),
    geometry(1, (10, 12), 2, 3, (5, 5), (1, 1), (2, 2)),
    geometry(1, (1, 12), 6, 2, (1, 3), (1, 1), (0, 1)),
    geometry(1, (12, 1), 6, 12, (3, 1), (1, 1), (1, 0)),
    geometry(1, (9, 9), 40, 1, (3, 3), (3, 3), (1, 1)),
    geometry(3, (5, 5), 64, 8),
    geometry(1, (12, 4), 34, 14, (3, 3), (1, 1), (2, 2)),
    geometry(1, (4, 4), 72, 66, (3, 3)),
    geometry(1, (5, 6), 6, 6, groups=6),
    geometry(2, (7, 5), 8, 4, (3, 2), (2, 1), (1, 1), groups=2),
    geometry(1, (7, 8), 4, 6, (3, 3), (1, 2), (2, 3), (2, 3)),
    linear(1, 256, 10),
    linear(5, 37, 3),
    linear(2, 100, 1),
)
"""Odd channels and filters, tails, strides, paddings, kernels of one and larger than the map."""

CODED = (("int8", "int8"), ("uint4", "residue"), ("uint4", "states"), ("int8", "residue"), ("uint4", "int8"))
"""Of activations and weights."""


def cases(fills: Sequence[str] = FILLS) -> Iterator[Case]:
    """All shapes, with codings and fills in turn; each pair of a shape and a coding, pooled and not."""
    for i, shape in enumerate(SHAPES):
        for j, (x, w) in enumerate(CODED):
            for pooled in (False, True):
                fill = "random" if (i + j) % 2 else fills[(i // 2 + j + pooled) % len(fills)]
                yield Case(shape, x, w, "int8", pooled, fill, 1000 * i + 10 * j + pooled)
        yield Case(shape, "int8", "int32", "int32", bool(i % 2), "random", i)


def batch(found: Sequence[Case]) -> NDArray[np.uint32]:
    """Input of the C program."""
    return np.concatenate([np.array([len(found)], np.uint32), *(case.words() for case in found)])


def expected(found: Sequence[Case]) -> NDArray[np.int32]:
    """Its output."""
    return np.concatenate([case.sums() for case in found]).astype(np.int32)


def first_difference(found: Sequence[Case], sums: NDArray[np.int32]) -> str:
    """The first wrong sum in words; empty if there is none."""
    at = 0
    for case in found:
        want, g = case.sums(), case.geometry
        got = sums[at : at + len(want)]
        at += len(want)
        wrong = np.flatnonzero(got != want)
        if len(wrong):
            first, outputs = int(wrong[0]), g.images * g.rows * g.columns * g.filters
            inputs = g.images * g.height * g.width * g.channels
            kind = ("conv", "input", "weight")[(first >= outputs) + (first >= outputs + inputs)]
            index = first - (outputs + inputs if kind == "weight" else outputs if kind == "input" else 0)
            about = f"{g} {case.x} {case.w} pooled={case.pooled} {case.fill}"
            return f"{kind} sums[{index}] of {about}: {got[first]}, not {want[first]}; {len(wrong)} wrong"
    return "" if at == len(sums) else f"{len(sums)} sums, not {at}"
