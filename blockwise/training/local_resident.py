"""``local-resident``: one block at a time is trained to completion, then packed."""

from torch import Tensor

from blockwise.nets.blocks import BlockNet
from blockwise.training.local import block_step
from blockwise.training.phase import Phase


class ResidentLocalLearning:
    """As ``local``, but the blocks before are finished: only one block's state is in RAM."""

    name = "local-resident"

    def phases(self, net: BlockNet) -> tuple[Phase, ...]:
        """One phase per block that learns."""
        return tuple(Phase(net.names[i], i, i + 1, (i,)) for i in net.learning)

    def step(self, net: BlockNet, phase: Phase, x: Tensor, y: Tensor) -> Tensor:
        """One step of the phase's block."""
        return block_step(net, phase.first, x, y)[1]
