"""The tensors alive at a schedule's peak, each with the layer whose values it holds there."""

import re
from collections.abc import Set
from dataclasses import dataclass

from blockwise.studies.terms import ACTIVATION, BIASES, WEIGHTS, Key
from devices.network import Network
from devices.network.ops import OPS
from devices.program import categories as cat
from devices.program.ledger import Ledger
from devices.program.operation import Operation
from devices.program.schedule import Tensor

IMAGES, LABELS, MADE_BACKWARD = "images", "labels", "made backward"
ACTIVATIONS = (cat.SAVED_ACTIVATIONS, cat.WORKING_TENSORS)
FORWARD = " forward"
CODES = tuple(op.kind for op in OPS if op.makes_codes)
PARTS = {"weight": WEIGHTS, "codes": WEIGHTS, "bias": BIASES, "folded": BIASES, "out": ACTIVATION}
"""What a tensor's name says behind its layer -> what the study calls it, where it counts it."""


@dataclass(frozen=True)
class Held:
    """A tensor alive at the peak."""

    tensor: Tensor
    key: Key
    kind: str  # of the layer that made the values it holds; "images", "labels" or "made backward"

    @property
    def bits(self) -> int:
        """Elements times width, without rounding."""
        return self.tensor.elements * self.tensor.bits

    @property
    def is_codes(self) -> bool:
        """Whether it is what a layer with weights reads."""
        return self.key.what == ACTIVATION and self.kind in (*CODES, IMAGES)


def held_at_peak(network: Network, ledger: Ledger) -> tuple[Held, ...]:
    """All of them, largest first; their tensors add up to the peak."""
    operations = ledger.schedule.operations
    kinds = {layer.name: layer.kind for layer in network.all_layers}
    for operation in operations:  # quantizers that the schedule has put in
        if operation.name.endswith(FORWARD):
            kinds.setdefault(operation.name.removesuffix(FORWARD), "quantize")
    writers = {
        name: operation
        for operation in operations[: ledger.peak_index + 1]
        if operation.phase in ("load", "forward", "recompute")
        for name in operation.writes
    }
    alive = ledger.tensors_at(ledger.peak_index)
    return tuple(_held(tensor, writers.get(tensor.name), network, kinds) for tensor in alive)


def _held(tensor: Tensor, writer: Operation | None, network: Network, kinds: dict[str, str]) -> Held:
    layer, *parts = _split(tensor.name, kinds.keys())
    what = " ".join([PARTS.get(parts[0], parts[0]), *(p for p in parts[1:] if p.startswith("state"))])
    if tensor.category not in ACTIVATIONS:
        return Held(tensor, Key(layer, what), kinds.get(layer, ""))
    if writer is None:
        return Held(tensor, Key(layer, MADE_BACKWARD), MADE_BACKWARD)
    if writer.phase == "load":
        if tensor.shape[1:] == network.in_shape:
            return Held(tensor, Key(network.source, ACTIVATION), IMAGES)
        return Held(tensor, Key(layer, LABELS), LABELS)
    maker = writer.name.removesuffix(FORWARD)  # a norm or a loss may have overwritten its input
    return Held(tensor, Key(maker, what), kinds.get(maker, ""))


def _split(name: str, layers: Set[str]) -> tuple[str, ...]:
    """The layer that a tensor is named after, longest first, and the parts behind it."""
    parts = re.sub(r"#\d+$", "", name).split(".")
    for end in range(len(parts) - 1, 0, -1):
        layer = ".".join(parts[:end])
        if layer in layers:
            return (layer, *parts[end:])
    return ("", *parts[-1:])
