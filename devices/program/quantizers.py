"""Where codes are made: the quantizers that stand before layers that would read floats."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from devices.network import IMAGES, Layer, Precision, skipping
from devices.network.ops import Quantize
from devices.program.accountings import FLOAT_BITS
from devices.program.state import Bits


def with_quantizers(
    layers: Sequence[Layer], bits: Bits, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[Layer, ...]:
    """Insert a quantizer before quantized layers whose input is not codes already: one per tensor.

    Images and the outputs of other blocks are codes, but for those that a residual sum reads where skip
    paths are in float. Views and max pools of codes are codes. ``shapes`` are those of all tensors by the
    layer that makes them.
    """
    floats = skipping(layers) - {IMAGES} if bits.skips_floats else frozenset()
    codes: dict[str, bool] = {}
    made: dict[tuple[str, Precision], Layer] = {}
    result: list[Layer] = []
    for layer in layers:
        source = layer.inputs[0]
        reads_codes = codes.get(source, source not in floats)
        if layer.weights and bits.activation_of(layer) < FLOAT_BITS and not reads_codes:
            key = source, layer.precision
            if key not in made:
                name, shape = f"{layer.name}.input", shapes[source]
                made[key] = Layer(name, Quantize(), (source,), shape, precision=layer.precision)
                result.append(made[key])
            layer = replace(layer, inputs=(made[key].name, *layer.inputs[1:]))
        result.append(layer)
        inherits = layer.op.passes_codes and reads_codes
        is_float = layer.precision == "skip" and bits.skips_floats
        codes[layer.name] = inherits or (layer.op.makes_codes and not is_float)
    return tuple(result)
