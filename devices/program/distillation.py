"""Distillation from the last block: what the network says of a batch teaches the local heads before its end.

Zhang et al. 2019 ("Be Your Own Teacher", arXiv 1905.08094) let the deepest classifier of a network teach the
others, by the softened targets of Hinton et al. 2015 (arXiv 1503.02531).
"""

from dataclasses import dataclass, replace

from devices.errors import InputError
from devices.network import ANSWER, Block, Layer, Network
from devices.network.ops import CrossEntropy, DistilledCrossEntropy

HIGHEST_TEMPERATURE = 1000.0
"""There all classes are as likely, and their differences are rounding."""


@dataclass(frozen=True)
class Distillation:
    """The temperature by which logits are divided, and the share of the teacher in the loss of a head.

    Raises InputError for what is neither.
    """

    temperature: float
    weight: float

    def __post_init__(self) -> None:
        if not (0 < self.temperature <= HIGHEST_TEMPERATURE and 0 < self.weight <= 1):
            raise InputError(
                "distillation", got=f"temperature {self.temperature:g} and weight {self.weight:g}",
                wanted=f"a temperature above 0 up to {HIGHEST_TEMPERATURE:g}, a weight above 0 up to 1",
                do="try 3 and 0.3",
            )  # fmt: skip


def distilled(network: Network, told: Distillation) -> Network:
    """The network whose heads before the last block learn from its answer beside the labels."""
    *early, last = network.blocks
    blocks = (Block(b.name, b.layers, tuple(_taught(x, told) for x in b.head)) for b in early)
    return replace(network, blocks=(*blocks, last))


def teaches(network: Network) -> bool:
    """Whether there is a head that the last block can teach: one that classifies, of a block that learns."""
    early = (block for block in network.blocks[:-1] if block.learns)
    return any(isinstance(layer.op, CrossEntropy) for block in early for layer in block.head)


def _taught(layer: Layer, told: Distillation) -> Layer:
    if not isinstance(layer.op, CrossEntropy):
        return layer
    op = DistilledCrossEntropy(told.temperature, told.weight)
    return replace(layer, op=op, inputs=(*layer.inputs, ANSWER))
