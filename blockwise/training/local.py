"""``local``: every block steps on every batch, by its own head's loss (Nøkland & Eidnes 2019)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from blockwise.nets.blocks import BlockNet
from blockwise.training.phase import Phase


def block_step(net: BlockNet, index: int, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
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
    """

    name: str = "local"

    def phases(self, net: BlockNet) -> tuple[Phase, ...]:
        """The blocks that learn, and those between them; each under its own head."""
        return (Phase("", net.learning[0], net.learning[-1] + 1, net.learning),)

    def step(self, net: BlockNet, phase: Phase, x: Tensor, y: Tensor) -> Tensor:
        """One step of every block that learns; returns their losses (blocks,)."""
        losses = []
        for index in phase.blocks:
            if index in phase.heads:
                x, loss = block_step(net, index, x, y)
                losses.append(loss)
                continue
            with torch.no_grad():
                x = net.run(x, index, index + 1)
        return torch.stack(losses)
