"""Sums of products of integers, exact on the host: which floating-point type can hold them.

A board adds int32 products. Here the fast convolutions are those in floating point, and they are
exact as long as no partial sum, in whatever order, leaves the integers that the type represents:
max|a| max_o sum|b_o| < 2^24 for float32, 2^53 for float64. A sum that float32 cannot hold is split
along its channels (or images) into parts that it can hold, and the parts are added as int32; float64
is the last resort, and the only choice on CUDA, where a float32 algorithm need not be direct.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor

from blockwise.integer.rounding import largest_magnitude
from devices.errors import InputError

INT32_MAX = (1 << 31) - 1
EXACT_FLOAT32, EXACT_FLOAT64 = 1 << 24, 1 << 53
EXACT_TRANSFORM = 1 << 43
"""On CUDA, where an algorithm by transforms may be off by some 2^-50 of the bound: less than one half."""
MOST_PARTS = 8
"""Into more parts a float32 convolution is split at about the price of one in float64."""

MOST_IN_16_BITS = 32
"""So many bytes are added in 16 bits at a time: a power of two; 128 would fit."""

Bilinear = Callable[[Tensor, Tensor], Tensor]

_in_exact_float: ContextVar[bool] = ContextVar("in_exact_float", default=False)


def in_exact_float() -> bool:
    """Whether this is within the one place where integers are held in floating point."""
    return _in_exact_float.get()


@dataclass(frozen=True)
class Contraction:
    """The dimension of ``a`` and the one of ``b``, of its first two, that are summed over.

    All further dimensions of ``b`` are summed over as well, at most. Of ``groups`` groups of channels each is
    summed for itself: these sums are not split.
    """

    a: int
    b: int
    groups: int = 1


class SumTooLarge(InputError):
    """A sum of products of these values passes what a board's 32 bits hold."""


def require_int32(what: str, terms: int, largest_product: int, do: str) -> None:
    """InputError unless ``terms`` products of at most ``largest_product`` add up within 2^31 - 1."""
    most = INT32_MAX // largest_product
    if terms > most:
        wanted = f"at most {most}, so that every sum fits 32 bits"
        raise InputError(what, got=f"sums of {terms} products", wanted=wanted, do=do)


@contextmanager
def _exact_float() -> Iterator[None]:
    token = _in_exact_float.set(True)
    try:
        yield
    finally:
        _in_exact_float.reset(token)


@_exact_float()
def sum_of_products(compute: Bilinear, a: Tensor, b: Tensor, dims: Contraction) -> Tensor:
    """``compute(a, b)``, bilinear, of integer tensors of any width, as int32, exactly.

    SumTooLarge where a sum passes 2^31 - 1, or might pass 2^53, by max|a| max_o sum|b_o|. A board may add
    up in any order: what wraps on the way is right again in the end.
    """
    largest = largest_magnitude(a)
    if a.device.type != "cuda":
        left, right = a.to(torch.float32), b.to(torch.float32)
        sums = _sums(b if b.dtype == torch.int8 else right, dims)
        for parts in (1, 2, 4, MOST_PARTS) if dims.groups == 1 else (1,):
            if largest * _largest_sum(sums, parts) < EXACT_FLOAT32:
                return _in_parts(compute, left.chunk(parts, dims.a), right.chunk(parts, dims.b))
    most = EXACT_TRANSFORM if a.device.type == "cuda" else EXACT_FLOAT64
    _refuse_above(most, largest * _largest_sum(_sums(b.to(torch.int64), dims), 1))
    return _exact(compute, a, b, torch.float64)


def _refuse_above(most: int, sum_: int) -> None:
    if sum_ > most:
        raise SumTooLarge(
            "sum of products", got=f"values that add up to {sum_}", wanted=f"at most {most}",
            do="use smaller batches, or leave the regime out",
        )  # fmt: skip


def _sums(b: Tensor, dims: Contraction) -> Tensor:
    """sum|b| for every index summed over and every index kept.

    Of int8 they are exact. In float32 what is below 2^24 is exact, and nothing above it comes out below:
    rounding keeps order.
    """
    narrow, sums = b.dtype == torch.int8, b.abs()
    if narrow:
        sums = sums.view(torch.uint8)  # of -128, too
    if b.ndim > 2:
        sums = _over_space(sums) if narrow else sums.sum(tuple(range(2, b.ndim)))
    if dims.groups > 1 and dims.b == 0:  # filters are summed over with those of their own group
        return sums.view(dims.groups, -1, sums.shape[1]).transpose(0, 1).flatten(1)
    return sums.movedim(dims.b, 0)


def _over_space(b: Tensor) -> Tensor:
    """Bytes (B, C, ...) summed to int32 (B, C): the first additions are cheap ones of 16 bits."""
    rows = b.movedim(1, -1).flatten(1, -2)
    count = math.gcd(rows.shape[1], MOST_IN_16_BITS)
    return added_in_16_bits(rows.chunk(count, 1)).sum(1, dtype=torch.int32)


def added_in_16_bits(parts: Sequence[Tensor]) -> Tensor:
    """The int16 sum of tensors of bytes, which has to fit."""
    total = parts[0].to(torch.int16)
    for part in parts[1:]:
        total += part
    return total


def _largest_sum(sums: Tensor, parts: int) -> int:
    """The largest sum of any part."""
    return max(largest_magnitude(part.sum(0)) for part in sums.chunk(parts))


def _in_parts(compute: Bilinear, a: tuple[Tensor, ...], b: tuple[Tensor, ...]) -> Tensor:
    total = _exact(compute, a[0], b[0], torch.float32)
    for left, right in zip(a[1:], b[1:], strict=True):
        total += _exact(compute, left, right, torch.float32)
    return total


def _exact(compute: Bilinear, a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    found = compute(a.to(dtype), b.to(dtype))
    if found.is_cuda:  # an algorithm by transforms is off by less than one half
        found = found.round_()
    if dtype == torch.float64:  # of wide operands the sum itself may not fit
        _refuse_above(INT32_MAX, largest_magnitude(found))
    return found.to(torch.int32)
