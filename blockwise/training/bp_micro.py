"""``bp-micro``: backpropagation of a few images at a time; their gradients are accumulated.

The accumulated gradient is that of the whole batch, except for batch norm, whose statistics are those
of each micro-batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from blockwise.blocks import BlockNet
from blockwise.training.phase import Phase, whole
from blockwise.training.segments import Segment, backpropagate


@dataclass(frozen=True)
class MicroBatchBackpropagation:
    """Forward and backward per micro-batch of ``size`` images, one update."""

    size: int = 1
    name: str = "bp-micro"

    def same_as(self, *, compiled: bool) -> str:
        """Itself: sums over micro-batches round otherwise."""
        return self.name

    def phases(self, net: BlockNet) -> tuple[Phase, ...]:
        """All blocks, under the last head's loss."""
        return whole(net, heads=(len(net) - 1,))

    def step(self, net: BlockNet, phase: Phase, x: Tensor, y: Tensor) -> Tensor:
        """Each micro-batch weighs as much as it has images."""
        total = torch.zeros((), device=x.device)
        for images, labels in zip(x.split(self.size), y.split(self.size), strict=True):
            total += backpropagate([Segment(net, False)], net.heads[-1], images, labels, len(images) / len(x))
        return total
