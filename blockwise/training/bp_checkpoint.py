"""``bp-checkpoint``: backpropagation that keeps only block inputs and recomputes the rest.

Chen et al. 2016 (arXiv 1604.06174), with blocks as segments. The gradients are those of ``bp`` to
the bit: the recomputation sees the same inputs, weights and batch statistics.
"""

import torch
from torch import Tensor

from blockwise.blocks import BlockNet, frozen_statistics
from blockwise.training.phase import Phase, whole


class CheckpointedBackpropagation:
    """Forward without a graph, then block by block: recompute, backward, free."""

    name = "bp-checkpoint"

    def phases(self, net: BlockNet) -> tuple[Phase, ...]:
        """All blocks, under the last head's loss."""
        return whole(net, heads=(len(net) - 1,))

    def step(self, net: BlockNet, phase: Phase, x: Tensor, y: Tensor) -> Tensor:
        """One step; see the module's text."""
        inputs = [x]
        with torch.no_grad():
            for body in net.bodies[:-1]:
                inputs.append(body(inputs[-1]))
        h = _leaf(inputs.pop(), wanted=len(net) > 1)
        loss: Tensor = net.heads[-1](net.bodies[-1](h), y)
        loss.backward()
        result, gradient = loss.detach(), h.grad
        del loss, h
        for index in reversed(range(len(net) - 1)):
            h = _leaf(inputs.pop(), wanted=index > 0)
            with frozen_statistics(net.bodies[index]):  # the first pass has counted this batch
                out = net.bodies[index](h)
            torch.autograd.backward(out, gradient)
            gradient = h.grad
            del out, h
        return result


def _leaf(x: Tensor, *, wanted: bool) -> Tensor:
    """x as a leaf whose gradient is wanted, if there is a block before it."""
    return x.detach().requires_grad_(wanted)
