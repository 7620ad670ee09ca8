"""What a forward pass decides by a layer alone: who evaluates it, what it draws, where a loss is told."""

from dataclasses import dataclass

from devices.network import Layer
from devices.network.ops import ChannelDropout, Op, Row
from devices.program.accountings import CostTable


@dataclass(frozen=True)
class LossTarget:
    """A tensor to which the value of a loss is added ("loss plus") or from which it is taken ("loss minus").

    Of its elements it is that of the direction ``draw``.
    """

    role: str
    tensor: str
    draw: int


@dataclass(frozen=True)
class Heir:
    """The only reader of a layer, and who evaluates what that in turn leaves to its own, as a sum does."""

    reader: Op
    evaluates: Op

    @property
    def looks_ahead(self) -> bool:
        """Whether what is evaluated has to be there before it begins."""
        return bool(self.evaluates.norm_groups) or self.evaluates.by_row


def leaves_to_reader(
    layer: Layer, row: Row, heir: Heir, table: CostTable, *, early: bool, training: bool
) -> bool:
    """Whether an element-wise reader, the only one, evaluates the layer instead of reading its output.

    With ``early`` sums, and what norms make of them, need not be stored: the reader has each when it is
    complete. So it is at rest, and in training where nothing is kept for a backward pass. A group norm
    looks at all of its group first, a softmax at its row, a norm by statistics of the batch, in training,
    at the whole batch.
    """
    if layer.op.pads and heir.reader.accumulates:
        return True
    reader = heir.reader
    if not reader.elementwise or row.output == "stream":
        return reader.elementwise
    if not table.packs or not early or layer.op.norm_groups or layer.op.by_row or heir.looks_ahead:
        return False
    if not training:
        return layer.op.accumulates or row.output == "in_place"
    by_batch = layer.op.batch_statistics or heir.evaluates.batch_statistics
    return not by_batch and (layer.op.accumulates or layer.op.normalises)


def drawn(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """What a dropout draws: one number for each element, or for each channel of an image."""
    return shape[:2] if isinstance(layer.op, ChannelDropout) else shape
