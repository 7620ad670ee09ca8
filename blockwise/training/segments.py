"""Backpropagation in segments, of which some keep their graph and others are run again.

Chen et al. 2016 (arXiv 1604.06174). The gradients are those of one pass to the bit: recomputation
sees the same inputs, weights and batch statistics.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from blockwise.nets.blocks import frozen_statistics
from blockwise.training.draws import Draws


@dataclass(frozen=True)
class ModuleSegment:
    """A module that follows the one before it; ``recompute`` means that only its input is kept."""

    module: nn.Module
    recompute: bool


def backpropagate(
    segments: Sequence[ModuleSegment], head: nn.Module, x: Tensor, y: Tensor, weight: float = 1.0
) -> Tensor:
    """Forward through all segments and back; returns ``weight`` times the loss, detached.

    The last segment ends in ``head`` and keeps its graph. ``x`` (B, ...) and ``y`` (B,) are a batch.
    """
    *early, last = segments
    inputs, outputs, draws = [x], [], list[Draws | None]()
    for segment in early:
        inputs[-1] = _leaf(inputs[-1], wanted=len(inputs) > 1)
        draws.append(Draws(segment.module) if segment.recompute else None)
        with torch.set_grad_enabled(not segment.recompute):
            out = segment.module(inputs[-1])
        outputs.append(None if segment.recompute else out)
        inputs.append(out.detach())
        del out
    h = _leaf(inputs.pop(), wanted=bool(early))
    loss: Tensor = head(last.module(h), y)
    if weight != 1.0:
        loss = loss * weight
    loss.backward()
    result, gradient = loss.detach(), h.grad
    del loss, h
    for segment in reversed(early):
        h = inputs.pop()
        out, drawn = outputs.pop(), draws.pop()
        if drawn is not None:
            h = _leaf(h, wanted=bool(inputs))
            with frozen_statistics(segment.module), drawn:  # the first pass has counted this batch
                out = segment.module(h)
        torch.autograd.backward(out, gradient)
        gradient = h.grad
        del out, h
    return result


def _leaf(x: Tensor, *, wanted: bool) -> Tensor:
    """x as a leaf whose gradient is wanted, if there is a segment before it."""
    return x.detach().requires_grad_(wanted)
