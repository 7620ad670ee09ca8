"""The nearest of a few sorted levels, found without branches.

``torch.bucketize`` would do, but on processors its branches cost two to three times as much as
comparisons with every threshold or, of many levels, as b lookups in a table that stays in the cache.
"""

import itertools

import torch
from torch import Tensor

COMPARED = 16
"""Up to so many levels, comparing with every threshold is faster than a binary search."""

LANES = 256
"""Sums that an accelerator makes side by side."""

CHUNK = 1 << 17
"""Values that are looked at together: two buffers of so many fit into a core's cache."""


def nearest(x: Tensor, levels: Tensor) -> Tensor:
    """For each x (G, n) the nearest of its group's ascending levels (G, 2^b), ties going down.

    The result (G, n), int32, counts through all groups: level l of group g is g 2^b + l.
    """
    middles = (levels[:, 1:] + levels[:, :-1]) / 2
    groups = torch.arange(len(levels), dtype=torch.int32, device=x.device)[:, None]
    if levels.shape[1] <= COMPARED:
        return _count_below(x, middles).add_(groups, alpha=levels.shape[1])
    return _search(x, middles, groups)


def _count_below(x: Tensor, middles: Tensor) -> Tensor:
    """How many of the thresholds (G, 2^b - 1) are smaller, int32.

    Part by part, so that intermediate values stay in a processor's cache and take no new memory; a
    compiler does so by itself.
    """
    whole = torch.compiler.is_compiling() or x.device.type != "cpu" or not x.numel()
    size = x.shape[1] if whole else min(x.shape[1], max(1, CHUNK // len(x)))
    index = torch.empty(x.shape, dtype=torch.int32, device=x.device)
    buffers = torch.empty(2, len(x), size, dtype=x.dtype, device=x.device)
    first, *others = middles.split(1, dim=1)
    for part, found in zip(x.split(size, dim=1), index.split(size, dim=1), strict=True):
        count, larger = buffers[:, :, : part.shape[1]]
        torch.gt(part, first, out=count)
        for threshold in others:
            count.add_(torch.gt(part, threshold, out=larger))  # floats, which are faster than bools
        found.copy_(count)
    return index


def _search(x: Tensor, middles: Tensor, groups: Tensor) -> Tensor:
    """The same by a binary search, from level 0 of each of the ``groups`` (G, 1) on."""
    half = (middles.shape[1] + 1) // 2
    index = _above(x, middles[:, half - 1 : half], torch.empty_like(x)).add_(groups, alpha=2)
    while half > 1:
        half //= 2
        table = middles[:, half - 1 :: 2 * half].reshape(-1)
        found = lookup(table, index)
        index.mul_(2).add_(_above(x, found, found))
    return index


def _above(x: Tensor, threshold: Tensor, work: Tensor) -> Tensor:
    """1 where x is larger, else 0; by way of floats, which is faster than by way of bools."""
    return torch.gt(x, threshold, out=work).int()


def lookup(table: Tensor, index: Tensor) -> Tensor:
    """Entries of a table (t,) at ``index``, in the shape of the index."""
    return table.index_select(0, index.view(-1)).view(index.shape)


def tally(index: Tensor, size: int, weights: Tensor | None = None) -> Tensor:
    """How often each position below ``size`` occurs in ``index`` (n,), or the sum of its weights (n,)."""
    if torch.compiler.is_compiling() or index.is_meta:  # where no shape may depend on data
        total = torch.zeros(size, dtype=torch.float64, device=index.device)
        ones = torch.ones_like(index) if weights is None else weights
        return total.index_add_(0, index, ones.double())
    if index.device.type != "cpu":
        return _spread_tally(index, size, weights)
    values = itertools.repeat(None) if weights is None else (w.double() for w in weights.split(CHUNK))
    parts = zip(index.split(CHUNK), values)  # noqa: B905 - the repetition has no end
    return torch.stack([i.bincount(w, minlength=size).double() for i, w in parts]).sum(0)


def _spread_tally(index: Tensor, size: int, weights: Tensor | None) -> Tensor:
    """The same on an accelerator, which is not waited for: ``bincount`` has it tell the largest index.

    Each of :data:`LANES` adds up its own positions, so that few of its threads meet at one.
    """
    lane = torch.arange(len(index), device=index.device).remainder_(LANES)
    total = torch.zeros(LANES * size, dtype=torch.float64, device=index.device)
    ones = torch.ones_like(index, dtype=torch.float64) if weights is None else weights.double()
    return total.index_add_(0, lane * size + index, ones).view(LANES, size).sum(0)


def rows(x: Tensor, groups: int) -> Tensor:
    """``x`` as (groups, n), its elements in the order of memory; groups follow the first dimension."""
    return (x.permute(0, 2, 3, 1) if _channels_last(x) else x).reshape(groups, -1)


def unrows(values: Tensor, x: Tensor) -> Tensor:
    """``values`` in the order of :func:`rows`, in the shape and layout of ``x``."""
    if _channels_last(x):
        batch, channels, height, width = x.shape
        return values.view(batch, height, width, channels).permute(0, 3, 1, 2)
    return values.view(x.shape)


def _channels_last(x: Tensor) -> bool:
    return x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
