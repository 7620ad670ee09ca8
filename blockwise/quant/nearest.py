"""The nearest of a few sorted levels, found by a binary search without branches.

``torch.bucketize`` would do, but on processors its branches cost two to three times as much as b
lookups in a table that stays in the cache.
"""

import torch
from torch import Tensor


def nearest(x: Tensor, levels: Tensor) -> Tensor:
    """For each x (G, n) the nearest of its group's ascending levels (G, 2^b), ties going down.

    The result (G, n), int32, counts through all groups: level l of group g is g 2^b + l.
    """
    half = levels.shape[1] // 2
    middles = (levels[:, 1:] + levels[:, :-1]) / 2
    groups = torch.arange(len(levels), dtype=torch.int32, device=x.device)[:, None]
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
    return index.bincount(weights if weights is None else weights.double(), minlength=size).double()


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
