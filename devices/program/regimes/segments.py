"""Backpropagation in segments: some keep what their backward pass needs, others are run again.

Chen et al. 2016 (arXiv 1604.06174): only the input of a segment is kept, and the segment is
recomputed just before its backward pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from devices.network import Layer
from devices.program.lower import Lowering


@dataclass(frozen=True)
class Segment:
    """Consecutive layers; ``recompute`` means that only their input is kept."""

    layers: tuple[Layer, ...]
    recompute: bool


def backpropagate(lowering: Lowering, segments: Sequence[Segment], *, fused: bool) -> None:
    """Forward through all segments and back; the last one holds the loss and is never recomputed."""
    ends = [segment.layers[-1].name for segment in segments]
    befores = [ends[i - 1 : i] if i else [] for i in range(len(segments))]
    for segment, before in zip(segments, befores, strict=True):
        lowering.forward(segment.layers, keep=not segment.recompute, until=before)
    for i in reversed(range(len(segments))):
        segment, before = segments[i], befores[i]
        if segment.recompute:
            lowering.forward(segment.layers, phase="recompute", until=before)
        held = [*before, ends[i]] if i < len(segments) - 1 else before
        lowering.backward(segment.layers, fused=fused, until=before, held=held)


def boundaries(layers: Sequence[Layer], source: str) -> tuple[int, ...]:
    """Positions at which a run of layers that reads ``source`` may be cut, its two ends included.

    A single tensor crosses a cut, and it is neither an accumulator nor what the next layer could overwrite,
    unless it is kept anyway, for a later layer reads it too: as a sum or a convolution that norms read, where
    norms stand before their layers (He et al. 2016, arXiv 1603.05027).
    """
    last_reader = {name: i for i, layer in enumerate(layers) for name in layer.inputs}
    found, reach, holds_sums = [0], last_reader[source], False
    for i in range(1, len(layers)):
        passes_on = layers[i - 1].op.rearranges  # what it passes on may still be an accumulator
        holds_sums = layers[i - 1].op.accumulates or (passes_on and holds_sums)
        kept = last_reader.get(layers[i - 1].name, 0) > i
        if reach < i and (kept or not (layers[i].op.reads_sums or holds_sums)):
            found.append(i)
        reach = max(reach, last_reader.get(layers[i - 1].name, 0))
    return (*found, len(layers))
