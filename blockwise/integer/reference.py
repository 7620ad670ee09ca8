"""Every operation again in int64, slow and plain: what the fast ones are compared with."""

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from blockwise.integer.ops import STEADY, Sides, Steps
from blockwise.integer.tensor import behind


def conv(x: Tensor, w: Tensor, steps: Steps = STEADY) -> Tensor:
    """Convolution: for each position of the kernel one product of matrices."""
    s, groups = steps.sides(w.ndim - 2), steps.groups
    x = _padded(x, s.padding)
    size = [
        (side - apart * (kernel - 1) - 1) // stride + 1
        for side, kernel, stride, apart in zip(x.shape[2:], w.shape[2:], s.stride, s.dilation, strict=True)
    ]
    total = torch.zeros(x.shape[0], groups, w.shape[0] // groups, *size, dtype=torch.int64)
    for tap, inputs in _windows(x, w.shape, size, s):
        total += torch.einsum("bgc...,goc->bgo...", _grouped(inputs, groups), _tap(w, tap, groups))
    return total.flatten(1, 2)


def conv_input_gradient(error: Tensor, w: Tensor, in_shape: tuple[int, ...], steps: Steps = STEADY) -> Tensor:
    """Each output's error times the weights, added to the inputs that the output was made of."""
    s, groups = steps.sides(w.ndim - 2), steps.groups
    total = _padded(torch.zeros(in_shape, dtype=torch.int64), s.padding)
    errors = _grouped(error.long(), groups)
    for tap, inputs in _windows(total, w.shape, error.shape[2:], s):
        inputs += torch.einsum("bgo...,goc->bgc...", errors, _tap(w, tap, groups)).flatten(1, 2)
    inside = (slice(pad, pad + size) for pad, size in zip(s.padding, in_shape[2:], strict=True))
    return total[behind(inside)]


def conv_weight_gradient(
    error: Tensor, x: Tensor, kernel_shape: tuple[int, ...], steps: Steps = STEADY
) -> Tensor:
    """Each output's error times the inputs that the output was made of."""
    total, groups = torch.zeros(kernel_shape, dtype=torch.int64), steps.groups
    s, errors = steps.sides(total.ndim - 2), _grouped(error.long(), groups).flatten(3)
    for tap, inputs in _windows(_padded(x, s.padding), kernel_shape, error.shape[2:], s):
        found = torch.einsum("bgop,bgcp->goc", errors, _grouped(inputs, groups).flatten(3))
        total[behind(tap)] = found.flatten(0, 1)
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


def max_pool(x: Tensor, window: tuple[int, ...] = (2, 2)) -> tuple[Tensor, Tensor]:
    """The largest of each window and which it was, row by row; the first of equal ones."""
    largest = torch.zeros(_pooled(x.shape, window), dtype=torch.int64)
    which = torch.zeros_like(largest)
    for place in product(*map(range, largest.shape)):
        values = x[_window(place, window)].flatten().tolist()
        largest[place] = max(values)
        which[place] = values.index(max(values))
    return largest, which


def max_pool_gradient(
    error: Tensor, which: Tensor, in_shape: tuple[int, ...], window: tuple[int, ...] = (2, 2)
) -> Tensor:
    """The error where the largest was, 0 elsewhere."""
    total = torch.zeros(in_shape, dtype=torch.int64)
    for place in product(*map(range, error.shape)):
        inside = torch.zeros(window, dtype=torch.int64)
        inside.view(-1)[int(which[place])] = error[place]
        total[_window(place, window)] = inside
    return total


def avg_pool(x: Tensor, window: tuple[int, ...]) -> Tensor:
    """The mean of each window, rounded to the nearest integer, ties away from zero."""
    mean = torch.zeros(_pooled(x.shape, window), dtype=torch.int64)
    for place in product(*map(range, mean.shape)):
        values = x[_window(place, window)].long()
        mean[place] = nearest_quotient(int(values.sum()), values.numel())
    return mean


def avg_pool_gradient(error: Tensor, window: tuple[int, ...], in_shape: tuple[int, ...]) -> Tensor:
    """The error for every input of its window, 0 outside of all windows."""
    total = torch.zeros(in_shape, dtype=torch.int64)
    for place in product(*map(range, error.shape)):
        total[_window(place, window)] = error[place]
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


def _pooled(shape: tuple[int, ...], window: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:2], *(size // side for size, side in zip(shape[2:], window, strict=True)))


def _window(place: tuple[int, ...], window: tuple[int, ...]) -> tuple[int | slice, ...]:
    """The values of an image's channel that an element of the pooled map stands for."""
    corners = zip(place[2:], window, strict=True)
    return (*place[:2], *(slice(side * at, side * (at + 1)) for at, side in corners))


def _grouped(x: Tensor, groups: int) -> Tensor:
    """(B, C, ...) as (B, groups, channels of a group, ...)."""
    found: Tensor = x.unflatten(1, (groups, -1))
    return found


def _tap(w: Tensor, tap: tuple[int, ...], groups: int) -> Tensor:
    """The weights of one position of the kernel: (groups, filters of a group, channels of a group)."""
    found: Tensor = w[behind(tap)].long().unflatten(0, (groups, -1))
    return found


def _padded(x: Tensor, padding: tuple[int, ...]) -> Tensor:
    around = [pad for pad in reversed(padding) for _ in range(2)]
    return functional.pad(x.long(), around)


def _windows(
    x: Tensor, kernel_shape: tuple[int, ...], size: list[int] | torch.Size, steps: Sides
) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """For each position of the kernel, the inputs it meets as it moves over the map (a view)."""
    for tap in product(*map(range, kernel_shape[2:])):
        sides = zip(tap, size, steps.stride, steps.dilation, strict=True)
        met = (slice(at * gap, at * gap + step * (n - 1) + 1, step) for at, n, step, gap in sides)
        yield tap, x[behind(met)]
