"""What each kind of layer writes, keeps for its backward pass and needs: one row per operation.

The rows stand with the operations (:mod:`devices.network.ops`); there are three tables of them. ``DEVICE``
is a direct C implementation without im2col: a norm works in place on the accumulator, element-wise layers
between an accumulator and the next codes are evaluated on the fly, activations are kept as codes.
``INTEGER`` is the same without norms, on integers. ``PYTORCH`` is what eager autograd keeps in float32.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from devices.errors import InputError
from devices.network import Layer, ops
from devices.network.bits import FLOAT_BITS as FLOAT_BITS  # its home for those that plan
from devices.network.ops import Row

CODE_SCRATCH_BITS = 8
"""One filter's codes are unpacked to bytes (or to what wider codes take) before they are multiplied."""

LABEL_BITS = (8, 16, 32)
"""Labels are integers of whole bytes: nobody packs one number per image."""


@dataclass(frozen=True)
class CostTable:
    """One accounting: the rows that operations have in it, and the widths of what is no layer's output."""

    name: str
    image_bits: int
    fixed_label_bits: int | None  # of a class number; None: whole bytes, as many as the classes need
    packs: bool  # whether codes take fewer than 32 bits, filter by filter
    # kind -> a row in place of the operation's own; compared, but a dict has no hash
    changed: Mapping[str, Row] = field(default_factory=dict, hash=False)

    def row(self, layer: Layer) -> Row:
        """The row of ``layer``. Raises InputError if the accounting cannot have its operation."""
        row = self.changed.get(layer.kind) or layer.op.row(self.name)
        if row is None:
            raise InputError(
                f"layer {layer.name}", got=f"the operation {layer.kind!r}",
                wanted=f"one of the {self.name} table: {', '.join(ops.named(self.name))}",
                do="add a row to its costs in devices/network/ops",
            )  # fmt: skip
        return row

    def label_bits(self, classes: int) -> int:
        """Bits of a label: 8 up to 256 classes, 16 up to 65,536, else 32."""
        if self.fixed_label_bits is not None:
            return self.fixed_label_bits
        return next((bits for bits in LABEL_BITS if classes <= 1 << bits), LABEL_BITS[-1])

    def argmax_bits(self, layer: Layer) -> int:
        """Bits per output element of a max pool's saved position: 2 for a 2x2 window."""
        fixed = self.row(layer).argmax_bits
        return fixed if fixed is not None else max(1, (layer.window - 1).bit_length())


DEVICE = CostTable("device", image_bits=8, fixed_label_bits=None, packs=True)
INTEGER = CostTable("integer", image_bits=8, fixed_label_bits=None, packs=True)
"""Training on integers alone: codes and errors of few bits, sums of 32."""
PYTORCH = CostTable("pytorch", image_bits=32, fixed_label_bits=64, packs=False)
