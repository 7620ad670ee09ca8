"""``bp-micro``: backpropagation of a few images at a time; their gradients are accumulated.

The accumulated gradient is that of the whole batch up to the rounding of sums: levels and frozen norms start
from the whole first batch, and weights are quantized in one way, with one noise, within a step. Where it is
not, :func:`difference` tells why.
"""

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from blockwise.nets.blocks import BlockNet, settled_weights
from blockwise.quant import FLOAT_BITS, Method
from blockwise.training.phase import Phase, to_the_end
from devices.network import Layer


@dataclass(frozen=True)
class MicroBatchBackpropagation:
    """Forward and backward per micro-batch of ``size`` images, one update."""

    size: int = 1
    name: str = "bp-micro"

    def phases(self, net: BlockNet) -> tuple[Phase, ...]:
        """All blocks from the first that learns on, under the last head's loss."""
        return to_the_end(net)

    def step(self, net: BlockNet, phase: Phase, x: Tensor, y: Tensor) -> Tensor:
        """Each micro-batch weighs as much as it has images."""
        total = torch.zeros((), device=x.device)
        parts = zip(x.split(self.size), y.split(self.size), strict=True)
        for number, (images, labels) in enumerate(parts):
            with settled_weights(net) if number else nullcontext():
                loss = net.loss(images, labels, phase.first) * (len(images) / len(x))
                loss.backward()
                total += loss.detach()
        return total


def difference(layers: Iterable[Layer], method: Method, bits: int, size: int) -> str:
    """What makes the results other than those of ``bp`` for the network of ``layers``; empty if nothing does.

    ``method`` and ``bits`` are those of activations, ``size`` the images of a micro-batch.
    """
    layers, causes = tuple(layers), []
    if any(layer.op.batch_statistics for layer in layers):
        causes.append("batch norm")
    quantizer = method.quantizer("activation")
    if bits < FLOAT_BITS and quantizer is not None and quantizer.follows:
        causes.append(f"{method.name}, whose levels follow the activations,")
    found = []
    if causes:
        plural = "s" * (len(causes) == 1)
        found.append(f"{' and '.join(causes)} see{plural} {size} image{'s' * (size > 1)} at a time")
    if any(layer.op.drops for layer in layers):
        found.append("dropout draws in another order")
    return ", and ".join(found)
