"""The order in memory of the gradients that quantizers are given.

Sums over a tensor, and norms among what uses them, round by the order of its elements in memory. The
gradient of an output may come in another order than the output has, depending on who reads it: a
recomputed block hands it on by way of a leaf, which keeps its own order. Two ways to the same gradient
would then end with other bits.
"""

from functools import partial

import torch
from torch import Tensor


def gradients_laid_out(y: Tensor) -> Tensor:
    """``y``, whose gradient will reach what made it in the layout of ``y``.

    Not while a compiler traces: it lays out by itself what lies within a graph.
    """
    if y.requires_grad and not y.is_leaf and not torch.compiler.is_compiling():
        y.register_hook(partial(_laid_out, stride=y.stride()))
    return y


def _laid_out(g: Tensor, *, stride: tuple[int, ...]) -> Tensor:
    if g.stride() == stride:
        return g
    return torch.empty_strided(g.shape, stride, dtype=g.dtype, device=g.device).copy_(g)
