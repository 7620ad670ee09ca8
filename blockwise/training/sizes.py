"""Steps of parameters that are sizes, as the steps and ranges of quantizers are: in the logarithm.

The gradient of a step size has no measure of its own. While all values lie within the range, that of 8-bit
weights is a sum of rounding errors, by which the step walks at random; as soon as the range is small
against the weights, all of them pull, each by the whole range. At a usual learning rate the first carries
a step through zero, and the second many times its size beyond; its magnitude, by which most codes then
quantize, is as far off as it came.

So a size moves by shares of itself: its gradient is divided by its value, which leaves small steps what
they were, and counts :data:`SHARE` at most; momentum and Adam's moments are those of shares; the step is
a factor, above zero. A size near zero comes back as fast as any other moves, whatever its gradient. Jain et
al. 2020 (arXiv 1903.08066) train thresholds in the logarithm for the same reasons; dividing by the value
once more keeps the pace of methods that are published with the value itself.
"""

from collections.abc import Callable
from functools import cache
from inspect import unwrap
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from blockwise.quant.numeric.ranges import SMALLEST_STEP

SHARE = 0.1
"""Of a size: the most that its gradient counts."""


@torch.no_grad()
def step(optimizer: Optimizer) -> None:
    """``optimizer.step()``, in which parameters of groups with a ``size_decay``, sizes, are multiplied."""
    sizes = [
        (p, group["size_decay"])
        for group in optimizer.param_groups
        if group.get("size_decay") is not None
        for p in group["params"]
        if p.grad is not None
    ]
    if not sizes:
        _step(optimizer)
        return
    parameters = [p for p, _ in sizes]
    before = _to_shares(parameters, [decay for _, decay in sizes])
    _step(optimizer)
    torch._foreach_exp_(parameters)
    torch._foreach_mul_(parameters, before)


def _step(optimizer: Optimizer) -> None:
    """``optimizer.step()`` without its wrappers, which load the compiler and talk to it in every step."""
    kind: Any = type(optimizer)
    _bare(kind)(optimizer)


@cache
def _bare(kind: Any) -> Callable[[Optimizer], object]:
    step: Callable[[Optimizer], object] = unwrap(kind.step)
    return step


def _to_shares(sizes: list[Tensor], decays: list[float]) -> tuple[Tensor, ...]:
    """Let ``sizes`` start from 0, the logarithm of no change, with the gradient of that; what they were.

    All at once: one by one, an accelerator would spend more time on these numbers than on all weights.
    """
    gradients = [p.grad for p in sizes if p.grad is not None]
    flat, shares = (torch.cat([t.reshape(-1) for t in tensors]) for tensors in (sizes, gradients))
    flat = torch.where(flat < 0, flat.clamp_max(-SMALLEST_STEP), flat.clamp_min(SMALLEST_STEP))
    shares.div_(flat)
    torch._foreach_add_(_like(shares, sizes), decays)
    torch._foreach_copy_(gradients, _like(shares.clamp_(-SHARE, SHARE), sizes))
    torch._foreach_zero_(sizes)
    return _like(flat, sizes)


def _like(flat: Tensor, sizes: list[Tensor]) -> tuple[Tensor, ...]:
    """Views of the values in ``flat``, in the shapes of ``sizes``."""
    parts = flat.split([p.numel() for p in sizes])
    return tuple(part.view_as(p) for part, p in zip(parts, sizes, strict=True))
