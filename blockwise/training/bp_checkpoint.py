"""``bp-checkpoint``: backpropagation that keeps only block inputs and recomputes the rest."""

from torch import Tensor

from blockwise.nets.blocks import BlockNet
from blockwise.training.phase import Phase, whole
from blockwise.training.segments import ModuleSegment, backpropagate


class CheckpointedBackpropagation:
    """Forward without a graph, then block by block: recompute, backward, free."""

    name = "bp-checkpoint"

    def phases(self, net: BlockNet) -> tuple[Phase, ...]:
        """All blocks, under the last head's loss."""
        return whole(net, heads=(len(net) - 1,))

    def step(self, net: BlockNet, phase: Phase, x: Tensor, y: Tensor) -> Tensor:
        """One segment per block; the last one goes back at once."""
        last = len(net) - 1
        segments = [ModuleSegment(net.block(i), recompute=i < last) for i in range(len(net))]
        return backpropagate(segments, net.heads[-1], x, y)
