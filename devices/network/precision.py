"""Which layers are at the edge of a network, what skip paths hold, and where codes are made.

It is found once, on layers in the order in which they run, and stands on them: planning, quantization-aware
training and integer networks follow it by layer name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from devices.network.bits import FLOAT_BITS, Bits
from devices.network.layers import Layer, Precision, Reads, skipping
from devices.network.ops import Quantize, ReLU


@dataclass(frozen=True)
class Edges:
    """The layers at the edge of a network, by name.

    ``activation`` is the layer that makes the codes which the last layer reads; None if that layer makes
    them itself, as behind an average.
    """

    first: str
    last: str
    activation: str | None


def edges(layers: Sequence[Layer]) -> Edges | None:
    """The first and the last layer with weights, in the order in which they run; None without any."""
    weighted = [layer for layer in layers if layer.op.accumulates]
    if not weighted:
        return None
    makers = {layer.name: layer for layer in layers}
    source = makers.get(weighted[-1].inputs[0])
    while source is not None and source.op.passes_codes and source.op.skips:
        source = makers.get(source.inputs[0])
    maker = source.name if source is not None and source.op.makes_codes else None
    return Edges(weighted[0].name, weighted[-1].name, maker)


def with_precision(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers of a whole network, each with the precision it has and what it reads.

    Layers at the edge are marked first; of the others those whose output a residual sum reads, but for
    the sums of products, and the layers on the way to it.
    """
    rim, skips = edges(layers), skipping(layers)
    edge = {rim.first, rim.last, rim.activation} if rim else set()
    marked: list[Layer] = []
    for layer in layers:
        in_skip = layer.name in skips and layer.precision == "inner" and not layer.weights
        precision: Precision = "edge" if layer.name in edge else "skip" if in_skip else layer.precision
        marked.append(replace(layer, precision=precision))
    return _with_reads(marked)


def _with_reads(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Images are codes of both signs."""
    held: dict[str, Reads] = {}  # layer -> what its output is
    signed: dict[str, bool] = {}  # layer -> whether its output has both signs
    found = []
    for layer in layers:
        sources = [held.get(name, "codes") for name in layer.inputs]
        found.append(replace(layer, reads=sources[0]))
        below_zero = any(signed.get(name, True) for name in layer.inputs)
        signed[layer.name] = below_zero if layer.op.keeps_sign else layer.op.both_signs
        held[layer.name] = _written(layer, sources, signed[layer.name])
    return tuple(found)


def _written(layer: Layer, sources: Sequence[Reads], signed: bool) -> Reads:
    """What a layer's output is, given what it reads."""
    if layer.op.makes_codes:
        return "skip" if layer.precision == "skip" else "codes"
    if layer.op.passes_codes:  # of tensors side by side one that is float makes all of them so
        kinds: tuple[Reads, ...] = ("signed", "floats", "skip")
        return next((kind for kind in kinds if kind in sources), "codes")
    return "signed" if signed else "floats"


def with_quantizers(
    layers: Sequence[Layer], bits: Bits, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[Layer, ...]:
    """Insert a quantizer before quantized layers whose input is not codes already: one per tensor.

    The layers have their precision (:func:`with_precision`); ``shapes`` are those of all tensors by the
    layer that makes them, as far as they are known. Where codes have both signs, so have the floats that are
    made of them, and a ReLU has no limits of its own: the quantizer takes its place.
    """
    made: dict[tuple[str, Precision], Layer] = {}
    result: list[Layer] = []
    for layer in layers:
        if bits.signed_codes and isinstance(layer.op, ReLU) and _has_own_width(layer, bits):
            layer = replace(layer, op=ReLU())
        if needs_quantizer(layer, bits):
            signed = layer.reads == "signed" or bits.signed_codes
            source = layer.inputs[0]
            key = source, layer.precision
            if key not in made:
                made[key] = replace(  # trained as the first layer that reads it
                    layer, name=f"{layer.name}.input", op=Quantize(signed=signed), inputs=(source,),
                    shape=shapes.get(source, ()),
                )  # fmt: skip
                result.append(made[key])
            layer = replace(layer, inputs=(made[key].name, *layer.inputs[1:]), reads="codes")
        result.append(layer)
    return tuple(result)


def _has_own_width(layer: Layer, bits: Bits) -> bool:
    """Whether an activation is quantized by the method itself, or a skip path has its float form."""
    return bits.activation_of(layer) == bits.activation or (layer.precision == "skip" and bits.skips_floats)


def needs_quantizer(layer: Layer, bits: Bits) -> bool:
    """Whether the layer multiplies codes and reads floats."""
    if not layer.weights or bits.activation_of(layer) == FLOAT_BITS:
        return False
    return layer.reads in ("floats", "signed") or (layer.reads == "skip" and bits.skips_floats)
