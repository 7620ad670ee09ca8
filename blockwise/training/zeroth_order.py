"""``zo`` and ``zo-hybrid``: weights go along random directions, and losses tell how far to step.

SPSA (Spall 1992) in place, as in MeZO (Malladi et al. 2023, arXiv 2305.17333). A hybrid trains its last
blocks by backpropagation from the last of the forward passes, as ElasticZO does (Sugiura & Matsutani 2025,
arXiv 2501.04287). docs/regimes.md says what is done where the papers leave it open.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from blockwise.nets.blocks import BlockNet, frozen_statistics
from blockwise.training.draws import Draws
from blockwise.training.phase import Phase, whole


@dataclass(frozen=True)
class ZerothOrder:
    """Two passes for each direction; the updater has drawn the directions, and takes the step."""

    name: str = "zo"

    def phases(self, net: BlockNet) -> tuple[Phase, ...]:
        """All blocks, under the last head's loss."""
        return whole(net, heads=(len(net) - 1,))

    def step(self, net: BlockNet, phase: Phase, x: Tensor, y: Tensor) -> Tensor:
        """Both losses of every direction; returns their mean.

        All passes drop the same and add the same noise. What follows the data moves in the first alone.
        """
        directions, draws, losses = net.directions, Draws(net), list[Tensor]()
        assert directions is not None
        if not directions.tensors:  # all blocks are trained by backpropagation
            return self._loss(net, x, y, back_to=0)
        for index in range(directions.count):
            directions.move(index, 1)
            with _again(net, draws) if index else nullcontext():
                losses.append(self._loss(net, x, y))
            directions.move(index, -2)
            with _again(net, draws):
                back = index == directions.count - 1
                losses.append(self._loss(net, x, y, back_to=directions.front if back else len(net)))
            directions.move(index, 1)
            directions.differences.append(losses[-2] - losses[-1])
        return torch.stack(losses).mean()

    def _loss(self, net: BlockNet, x: Tensor, y: Tensor, *, back_to: int | None = None) -> Tensor:
        """Of one pass, whose error goes back through the blocks from ``back_to``, if there are any."""
        front = len(net) if back_to is None else back_to
        with torch.no_grad():
            if front == len(net):
                return net.loss(x, y)
            h = net.run(x, 0, front)
        loss = net.loss(h, y, front)
        loss.backward()
        return loss.detach()


@contextmanager
def _again(net: BlockNet, draws: Draws) -> Iterator[None]:
    """Another pass of the same step: it drops the same, and nothing follows the data."""
    with frozen_statistics(net), draws:
        yield
