"""The tensors alive at a schedule's peak, each with the layer whose values it holds there."""

import re
from collections.abc import Set
from dataclasses import dataclass

from blockwise.studies.terms import ACTIVATION, BIASES, WEIGHTS, TermKey
from devices.network import Network
from devices.network.ops import Op
from devices.program import categories as cat
from devices.program.ledger import Ledger
from devices.program.operation import Operation
from devices.program.schedule import Tensor

IMAGES, LABELS, MADE_BACKWARD = "images", "labels", "made backward"
ACTIVATIONS = (cat.SAVED_ACTIVATIONS, cat.WORKING_TENSORS)
PARTS = {"weight": WEIGHTS, "codes": WEIGHTS, "bias": BIASES, "folded": BIASES, "out": ACTIVATION}
"""What a tensor's name says behind its layer -> what the study calls it, where it counts it."""


@dataclass(frozen=True)
class Held:
    """A tensor alive at the peak."""

    tensor: Tensor
    key: TermKey
    made_by: Op | str  # what made the values it holds: an operation; images, labels, or something backward

    @property
    def bits(self) -> int:
        """Elements times width, without rounding."""
        return self.tensor.elements * self.tensor.bits

    @property
    def is_codes(self) -> bool:
        """Whether it is what a layer with weights reads."""
        codes = isinstance(self.made_by, Op) and self.made_by.makes_codes
        return self.key.what == ACTIVATION and (codes or self.made_by == IMAGES)

    @property
    def normalised(self) -> bool:
        """Whether a norm made it, or it belongs to one."""
        return isinstance(self.made_by, Op) and self.made_by.normalises

    @property
    def maker(self) -> str:
        """What made it, in words."""
        return self.made_by.kind.replace("_", " ") if isinstance(self.made_by, Op) else self.made_by


def held_at_peak(network: Network, ledger: Ledger) -> tuple[Held, ...]:
    """All of them, largest first; their tensors add up to the peak."""
    operations = ledger.schedule.operations
    ops = {name: layer.op for name, layer in ledger.schedule.layers.items()}
    writers = {
        name: operation
        for operation in operations[: ledger.peak_index + 1]
        if operation.phase in ("load", "forward", "recompute")
        for name in operation.writes
    }
    alive = ledger.tensors_at(ledger.peak_index)
    return tuple(_held(tensor, writers.get(tensor.name), network, ops) for tensor in alive)


def _held(tensor: Tensor, writer: Operation | None, network: Network, ops: dict[str, Op]) -> Held:
    layer, *parts = _split(tensor.name, ops.keys())
    what = " ".join([PARTS.get(parts[0], parts[0]), *(p for p in parts[1:] if p.startswith("state"))])
    if tensor.category not in ACTIVATIONS:
        return Held(tensor, TermKey(layer, what), ops.get(layer, ""))
    if writer is None:
        return Held(tensor, TermKey(layer, MADE_BACKWARD), MADE_BACKWARD)
    if writer.phase == "load":
        if tensor.shape[1:] == network.in_shape:
            return Held(tensor, TermKey(network.source, ACTIVATION), IMAGES)
        return Held(tensor, TermKey(layer, LABELS), LABELS)
    maker = writer.layer  # a norm or a loss may have overwritten its input
    return Held(tensor, TermKey(maker, what), ops.get(maker, ""))


def _split(name: str, layers: Set[str]) -> tuple[str, ...]:
    """The layer that a tensor is named after, longest first, and the parts behind it."""
    parts = re.sub(r"#\d+$", "", name).split(".")
    for end in range(len(parts) - 1, 0, -1):
        layer = ".".join(parts[:end])
        if layer in layers:
            return (layer, *parts[end:])
    return ("", *parts[-1:])
