"""``local``: every block steps on every batch, by its own head's loss (Nøkland & Eidnes 2019)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from blockwise.heads import Targets, Taught
from blockwise.nets.blocks import BlockNet
from blockwise.training.phase import Phase
from devices.program.distillation import Distillation


def block_step(net: BlockNet, index: int, x: Tensor, y: Targets) -> tuple[Tensor, Tensor]:
    """Forward, loss and backward of one block; returns its detached output and loss.

    Nothing that the block saved outlives the call, and no gradient leaves the block. A weight of the loss
    is where its gradient starts: the loss that is told is that of every head alike.
    """
    out, loss = net.taught(index, x, y)
    weight = net.loss_weight(index)
    loss.backward(None if weight == 1.0 else torch.full_like(loss, weight))
    return out, loss.detach()


@dataclass(frozen=True)
class LocalLearning:
    """Blocks in turn within each batch; each hands on a detached output.

    Where a block's state lies between its turns changes no result: ``local-paged`` is trained like
    this too.

    With ``distillation`` the network answers before any block's step, as deployed at that moment, and the
    heads before its end learn from the answer, too (Zhang et al. 2019, arXiv 1905.08094). In a share
    ``skip_heads`` of the steps, drawn for each block but the last that learns, a block only hands on: its
    head has no loss and nothing goes back (after Huang et al. 2016, arXiv 1603.09382, who skip layers).
    """

    name: str = "local"
    distillation: Distillation | None = None
    skip_heads: float = 0.0

    def phases(self, net: BlockNet) -> tuple[Phase, ...]:
        """The blocks that learn, and those between them; each under its own head."""
        return (Phase("", net.learning[0], net.learning[-1] + 1, net.learning),)

    def step(self, net: BlockNet, phase: Phase, x: Tensor, y: Tensor) -> Tensor:
        """One step of every block that learns; returns their losses (blocks,), 0 of those skipped."""
        skipped, told = self._skipped(phase), self._told(net, phase, x, y)
        losses = {index: x.new_zeros(()) for index in skipped}
        for index in phase.blocks:
            if index in phase.heads and index not in skipped:
                x, losses[index] = block_step(net, index, x, told if index < len(net) - 1 else y)
                continue
            with torch.no_grad():
                x = net.run(x, index, index + 1)
        return torch.stack([losses[index] for index in phase.heads])

    def _skipped(self, phase: Phase) -> tuple[int, ...]:
        """The blocks that do not learn in this step, drawn from the run's stream."""
        if not self.skip_heads:
            return ()
        *early, _ = phase.heads
        drawn = torch.rand(len(early)) < self.skip_heads
        return tuple(index for index, skips in zip(early, drawn.tolist(), strict=True) if skips)

    def _told(self, net: BlockNet, phase: Phase, x: Tensor, y: Tensor) -> Targets:
        """What the heads before the network's end learn by."""
        if self.distillation is None:
            return y
        return Taught(y, net.answer(x, phase.first), self.distillation.temperature, self.distillation.weight)
