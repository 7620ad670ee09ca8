"""The reference study's accounting: parameters x bits plus activations x bits, nothing else.

JRAF 2023, "Quantized Neural Networks for edge implementation". Activations are the network's input
and the outputs of its convolutions; inference holds the largest one, training holds all of them for
every image of the batch. Training keeps float32 parameters and one float32 momentum each. Batch
norm, gradients, local heads and working memory are left out, which a program cannot do; the
schedule (:mod:`devices.planning`) counts them.
"""

import math
from dataclasses import dataclass

from devices.network import Network
from devices.network.ops import Conv
from devices.program.accountings import FLOAT_BITS


@dataclass(frozen=True)
class PaperFigures:
    """Sizes in bytes by the study's formula."""

    inference_activations: int
    inference_parameters: int
    training_activations: int
    training_parameters: int
    training_optimizer: int

    @property
    def inference(self) -> int:
        """Total bytes of inference."""
        return self.inference_activations + self.inference_parameters

    @property
    def training(self) -> int:
        """Total bytes of training."""
        return self.training_activations + self.training_parameters + self.training_optimizer


def paper_figures(
    network: Network, *, bits: int, activation_bits: int | None = None, batch_size: int = 1
) -> PaperFigures:
    """The study's figures with ``bits`` for weights and, unless given apart, activations."""
    width = bits if activation_bits is None else activation_bits
    sizes = [math.prod(network.in_shape)]
    sizes += [layer.elements for layer in network.layers if isinstance(layer.op, Conv)]
    return PaperFigures(
        inference_activations=_bytes(max(sizes), width),
        inference_parameters=_bytes(network.parameters, bits),
        training_activations=_bytes(sum(sizes) * batch_size, width),
        training_parameters=_bytes(network.parameters, FLOAT_BITS),
        training_optimizer=_bytes(network.parameters, FLOAT_BITS),
    )


def _bytes(elements: int, bits: int) -> int:
    return -(-elements * bits // 8)
