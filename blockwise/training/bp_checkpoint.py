"""``bp-checkpoint``: backpropagation that keeps only block inputs and recomputes the rest."""

from torch import Tensor

from blockwise.nets.blocks import BlockNet
from blockwise.training.phase import Phase, to_the_end
from blockwise.training.segments import ModuleSegment, backpropagate


class CheckpointedBackpropagation:
    """Forward without a graph, then block by block: recompute, backward, free."""

    name = "bp-checkpoint"

    def phases(self, net: BlockNet) -> tuple[Phase, ...]:
        """All blocks from the first that learns on, under the last head's loss."""
        return to_the_end(net)

    def step(self, net: BlockNet, phase: Phase, x: Tensor, y: Tensor) -> Tensor:
        """One segment per block; the last one goes back at once."""
        last = len(net) - 1
        segments = [ModuleSegment(net.block(i), recompute=i < last) for i in phase.blocks]
        return backpropagate(segments, net.heads[-1], x, y)
