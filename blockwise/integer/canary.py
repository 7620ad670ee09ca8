"""A check at start-up that this machine's convolutions are exact on integers, over the full range.

float32 sums are exact below 2^24 only if the algorithm is direct or a matrix product in full precision;
one by transforms (Winograd, FFT), or one that rounds its inputs to fewer bits, is not. Random inputs
alone do not show it: sums of all-127 inputs come closest to the bound.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from blockwise.integer import ops, reference
from blockwise.integer.xorshift import Xorshift32

Comparison = tuple[str, Callable[[], Tensor], Callable[[], Tensor]]


@dataclass(frozen=True)
class ConvShape:
    """A convolution: images, channels in and out, image size, kernel size, stride, groups, dimensions."""

    batch: int
    channels: int
    filters: int
    size: int
    kernel: int = 3
    stride: int = 1
    groups: int = 1
    rank: int = 2

    @property
    def steps(self) -> ops.Steps:
        """It keeps the size at stride 1."""
        return ops.Steps(self.stride, self.kernel // 2, 1, self.groups)

    @property
    def inputs(self) -> tuple[int, ...]:
        """(B, C, ...)."""
        return (self.batch, self.channels, *[self.size] * self.rank)

    @property
    def weights(self) -> tuple[int, ...]:
        """(O, C / groups, ...)."""
        return (self.filters, self.channels // self.groups, *[self.kernel] * self.rank)

    @property
    def errors(self) -> tuple[int, ...]:
        """(B, O, ...)."""
        return (self.batch, self.filters, *[(self.size - 1) // self.stride + 1] * self.rank)


# One just within 2^24 (1,035 products of 127 x 127), one that is split, one for float64; small ones of
# the shapes that libraries treat apart: few channels, pointwise, strided, depthwise, signals.
SHAPES = (
    ConvShape(2, 115, 8, 8),
    ConvShape(2, 256, 32, 8),
    ConvShape(1, 1040, 2, 4),
    ConvShape(8, 3, 16, 32),
    ConvShape(4, 64, 16, 8, kernel=1),
    ConvShape(4, 16, 32, 16, stride=2),
    ConvShape(4, 4, 8, 16, kernel=1, stride=2),
    ConvShape(2, 32, 32, 8, groups=32),
    ConvShape(4, 8, 16, 32, kernel=5, rank=1),
)


def check_exact(device: torch.device | str = "cpu", shapes: tuple[ConvShape, ...] = SHAPES) -> None:
    """RuntimeError unless convolution, linear layer and their gradients equal int64 ones on ``device``."""
    for shape in shapes:
        for kind, x, w, error in _inputs(shape):
            for name, fast, plain in _comparisons(shape, x, w, error, torch.device(device)):
                if not torch.equal(fast().cpu().long(), plain()):
                    raise RuntimeError(
                        f"integer arithmetic on {device}: {name} of {kind} inputs, {shape}, is not exact; "
                        "float32 convolutions must run in full precision: see torch.backends.fp32_precision"
                    )


def _inputs(shape: ConvShape) -> Iterator[tuple[str, Tensor, Tensor, Tensor]]:
    """A name for them, inputs, weights and errors."""
    rng = Xorshift32(seed=0)
    x, w, e = (_random(size, rng) for size in (shape.inputs, shape.weights, shape.errors))
    yield "all +127", x.abs().clamp_min(127), w.abs().clamp_min(127), e.abs().clamp_min(127)
    yield "all +-127", x.sign() * 127, w.sign() * 127, e.sign() * 127
    yield "random", x, w, e
    yield "10-bit", x, w.int() * 5, e  # NITRO-D's weights pass 8 bits, all that bfloat16 holds
    yield "17-bit", x, w.int() * 5, e.int() * 1000  # and so do its errors: only the sums fit 32 bits


def _random(size: tuple[int, ...], rng: Xorshift32) -> Tensor:
    """int8, -127 .. 127."""
    return (rng.uniform(prod(size), 255) - 127).to(torch.int8).view(size)


def _comparisons(
    shape: ConvShape, x: Tensor, w: Tensor, e: Tensor, device: torch.device
) -> Iterator[Comparison]:
    """The fast and the plain computation of each operation; for linear layers a pixel is an image."""
    steps = shape.steps
    rows, matrix, errors = _rows(x), w.flatten(2)[:, :, 0], _rows(e)
    rows = rows[: len(errors), : matrix.shape[1]]
    # Libraries choose their algorithm by the layout, too: that of training.
    layout = torch.channels_last if shape.rank == 2 else torch.contiguous_format
    xd, wd, ed = (t.to(device).contiguous(memory_format=layout) for t in (x, w, e))
    rows_d, matrix_d, errors_d = (t.to(device) for t in (rows, matrix, errors))
    yield (
        "convolution",
        lambda: ops.conv_sums(xd, wd, steps),
        lambda: reference.conv(x, w, steps),
    )
    yield (
        "input gradient of a convolution",
        lambda: ops.conv_input_sums(ed, wd, x.shape, steps),
        lambda: reference.conv_input_gradient(e, w, x.shape, steps),
    )
    yield (
        "weight gradient of a convolution",
        lambda: ops.conv_weight_sums(ed, xd, w.shape, steps),
        lambda: reference.conv_weight_gradient(e, x, w.shape, steps),
    )
    yield (
        "linear layer",
        lambda: ops.linear_sums(rows_d, matrix_d),
        lambda: reference.linear(rows, matrix),
    )
    yield (
        "input gradient of a linear layer",
        lambda: ops.linear_input_sums(errors_d, matrix_d),
        lambda: reference.linear_input_gradient(errors, matrix),
    )
    yield (
        "weight gradient of a linear layer",
        lambda: ops.linear_weight_sums(errors_d, rows_d),
        lambda: reference.linear_weight_gradient(errors, rows),
    )


def _rows(x: Tensor) -> Tensor:
    """(B, C, ...) as (B ..., C)."""
    return x.movedim(1, -1).flatten(0, -2)
