"""Every operation again in int64, slow and plain: what the fast ones are compared with."""

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional


def conv2d(x: Tensor, w: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """Convolution: for each position of the kernel one product of matrices."""
    x = _padded(x, padding)
    size = [(x.shape[d] - w.shape[d]) // stride + 1 for d in (2, 3)]
    total = torch.zeros(x.shape[0], w.shape[0], *size, dtype=torch.int64)
    for row, column, inputs in _windows(x, w.shape, size, stride):
        total += torch.einsum("bchw,oc->bohw", inputs, w[:, :, row, column].long())
    return total


def conv2d_input_gradient(
    error: Tensor, w: Tensor, in_shape: tuple[int, ...], stride: int = 1, padding: int = 0
) -> Tensor:
    """Each output's error times the weights, added to the inputs that the output was made of."""
    total = _padded(torch.zeros(in_shape, dtype=torch.int64), padding)
    for row, column, inputs in _windows(total, w.shape, error.shape[2:], stride):
        inputs += torch.einsum("bohw,oc->bchw", error.long(), w[:, :, row, column].long())
    return total[:, :, padding : padding + in_shape[2], padding : padding + in_shape[3]]


def conv2d_weight_gradient(
    error: Tensor, x: Tensor, kernel_shape: tuple[int, ...], stride: int = 1, padding: int = 0
) -> Tensor:
    """Each output's error times the inputs that the output was made of."""
    total = torch.zeros(kernel_shape, dtype=torch.int64)
    for row, column, inputs in _windows(_padded(x, padding), kernel_shape, error.shape[2:], stride):
        total[:, :, row, column] = torch.einsum("bohw,bchw->oc", error.long(), inputs)
    return total


def linear(x: Tensor, w: Tensor) -> Tensor:
    """x (B, C) times w (O, C)."""
    return torch.einsum("bc,oc->bo", x.long(), w.long())


def linear_input_gradient(error: Tensor, w: Tensor) -> Tensor:
    """error (B, O) times w (O, C)."""
    return torch.einsum("bo,oc->bc", error.long(), w.long())


def linear_weight_gradient(error: Tensor, x: Tensor) -> Tensor:
    """error (B, O) with x (B, C), over the batch."""
    return torch.einsum("bo,bc->oc", error.long(), x.long())


def max_pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of each 2x2 window and which it was, 0 .. 3; the first of equal ones."""
    batch, channels, height, width = x.shape
    largest = torch.zeros(batch, channels, height // 2, width // 2, dtype=torch.int64)
    which = torch.zeros_like(largest)
    for b, c, i, j in product(*map(range, largest.shape)):
        window = [int(x[b, c, 2 * i + p // 2, 2 * j + p % 2]) for p in range(4)]
        largest[b, c, i, j] = max(window)
        which[b, c, i, j] = window.index(max(window))
    return largest, which


def max_pool_gradient(error: Tensor, which: Tensor, in_shape: tuple[int, ...]) -> Tensor:
    """The error where the largest was, 0 elsewhere."""
    total = torch.zeros(in_shape, dtype=torch.int64)
    for b, c, i, j in product(*map(range, error.shape)):
        p = int(which[b, c, i, j])
        total[b, c, 2 * i + p // 2, 2 * j + p % 2] = error[b, c, i, j]
    return total


def avg_pool(x: Tensor, size: int) -> Tensor:
    """The mean of each window, rounded to the nearest integer, ties away from zero."""
    batch, channels, height, width = x.shape
    mean = torch.zeros(batch, channels, height // size, width // size, dtype=torch.int64)
    for b, c, i, j in product(*map(range, mean.shape)):
        window = x[b, c, size * i : size * (i + 1), size * j : size * (j + 1)]
        mean[b, c, i, j] = nearest_quotient(int(window.long().sum()), size * size)
    return mean


def avg_pool_gradient(error: Tensor, size: int, in_shape: tuple[int, ...]) -> Tensor:
    """The error for every input of its window, 0 outside of all windows."""
    total = torch.zeros(in_shape, dtype=torch.int64)
    for b, c, i, j in product(*map(range, error.shape)):
        total[b, c, size * i : size * (i + 1), size * j : size * (j + 1)] = error[b, c, i, j]
    return total


def add(a: list[int], a_exponent: int, b: list[int], b_exponent: int, span: int) -> tuple[list[int], int]:
    """a + b at the smaller exponent, or ``span`` below the larger one, to which the other is rounded."""
    exponent = max(min(a_exponent, b_exponent), max(a_exponent, b_exponent) - span)

    def at(value: int, own: int) -> int:
        return value << own - exponent if own >= exponent else nearest_quotient(value, 1 << exponent - own)

    return [at(x, a_exponent) + at(y, b_exponent) for x, y in zip(a, b, strict=True)], exponent


def nearest_quotient(numerator: int, denominator: int) -> int:
    """The integer nearest to numerator / denominator, ties away from zero; denominator > 0."""
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return -magnitude if numerator < 0 else magnitude


def _padded(x: Tensor, padding: int) -> Tensor:
    return functional.pad(x.long(), (padding,) * 4)


def _windows(
    x: Tensor, kernel_shape: tuple[int, ...], size: list[int] | torch.Size, stride: int
) -> Iterator[tuple[int, int, Tensor]]:
    """For each position of the kernel, the inputs it meets as it moves over the map (a view)."""
    height, width = (stride * (n - 1) + 1 for n in size)
    for row, column in product(range(kernel_shape[2]), range(kernel_shape[3])):
        yield row, column, x[:, :, row : row + height : stride, column : column + width : stride]
