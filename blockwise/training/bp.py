"""``bp``: global backpropagation. Every activation is kept from forward to backward."""

from dataclasses import dataclass

from torch import Tensor

from blockwise.nets.blocks import BlockNet
from blockwise.training.phase import Phase, to_the_end


@dataclass(frozen=True)
class Backpropagation:
    """One loss at the end; its gradient passes through all blocks.

    What a device recomputes or updates earlier changes no result: ``bp-fused`` and ``bp-best`` are
    trained like this too.
    """

    name: str = "bp"

    def phases(self, net: BlockNet) -> tuple[Phase, ...]:
        """All blocks from the first that learns on, under the last head's loss."""
        return to_the_end(net)

    def step(self, net: BlockNet, phase: Phase, x: Tensor, y: Tensor) -> Tensor:
        """Forward through all blocks, backward as far as anything is trained."""
        loss = net.loss(x, y, phase.first)
        loss.backward()
        return loss.detach()
