"""A network for training, its layers quantized where the plan quantizes them.

The places and widths are those of :mod:`devices.network.precision`, found on the traced layers and followed
by name: what is planned is what is trained.
"""

from collections import Counter
from collections.abc import Mapping

from torch import nn

from blockwise.layers.weighted import Weighted
from blockwise.quant.catalogue import scheme
from blockwise.quant.layers import (
    QUANT_CONVOLUTIONS,
    FloatReLU,
    QuantActivation,
    QuantLinear,
    QuantReLU,
    Shared,
)
from blockwise.quant.quantizer import FLOAT_BITS
from blockwise.quant.scheme import Scheme
from devices.errors import InputError
from devices.network import Layer, Residual
from devices.network.bits import Bits
from devices.network.ops import Quantize, ReLU
from devices.network.precision import with_precision, with_quantizers
from devices.network.trace import links


def quantize(
    model: nn.Module, by: Scheme | str, weight_bits: int | None = None, activation_bits: int | None = None,
    residual: Residual = "codes",
) -> nn.Module:  # fmt: skip
    """Quantize every layer of ``model`` with weights and every activation, in place, and return it.

    Bits are 3 or what the method has, unless given. The first and the last layer take the weight
    method's own convention. Activations are quantized where they are made, so that all readers share one
    set of codes; a layer that would read floats quantizes its input, but for the first one, which reads
    8-bit images. With ``residual`` "float", what a residual sum reads stays in float, and the layers that
    read it too quantize their input.

    Raises InputError for widths that the methods do not have, a model that torch.fx cannot trace, and
    layers that no quantized one can replace.
    """
    given = (weight_bits, activation_bits)
    plan = scheme(by, None, None, *given) if isinstance(by, str) else by
    weight_bits = plan.usual_bits("weight") if weight_bits is None else weight_bits
    activation_bits = plan.usual_bits("activation") if activation_bits is None else activation_bits
    if plan.is_float:
        return model
    plan.check(weight_bits, activation_bits)
    signed = plan.signed_codes(activation_bits)
    bits = Bits(weight_bits, activation_bits, plan.edge_bits, residual=residual, signed_codes=signed)
    layers = with_quantizers(with_precision(links(model, type(model).__name__)), bits, {})
    _Conversion(model, plan, bits, layers).run()
    return model


class _Conversion:
    """Replaces modules by quantized ones; modules and layers have the same names."""

    def __init__(self, model: nn.Module, plan: Scheme, bits: Bits, layers: tuple[Layer, ...]) -> None:
        self.model, self.plan, self.bits, self.layers = model, plan, bits, layers
        self.modules = dict(model.named_modules())
        readers = Counter(source for layer in layers for source in layer.inputs)
        self.inputs = {
            layer.name: self._input(layer, readers[layer.name])
            for layer in layers
            if isinstance(layer.op, Quantize)
        }

    def run(self) -> None:
        """Find all that is to be replaced before anything is."""
        replaced = {layer.name: self._converted(layer) for layer in self.layers}
        for name, module in replaced.items():
            if module is not None:
                self.model.set_submodule(name, module)
        made = {layer.name: layer for layer in self.layers}
        for layer in self.layers:
            module = replaced[layer.name]
            if isinstance(module, QUANT_CONVOLUTIONS):
                module.made_by = _quantizer_behind(made.get(layer.inputs[0]), made, replaced)

    def _input(self, layer: Layer, readers: int) -> nn.Module:
        """A quantizer of floats; of several readers the first one has it work, the others read its codes."""
        assert isinstance(layer.op, Quantize)
        quantizer = self.plan.floats(self.bits.activation_of(layer), signed=layer.op.signed)
        return Shared(quantizer, readers) if readers > 1 else quantizer

    def _converted(self, layer: Layer) -> nn.Module | None:
        """What takes the layer's place; None if it stays."""
        if layer.weights:
            return self._with_quantized_weights(layer)
        if layer.op.makes_codes and not isinstance(layer.op, Quantize) and self.bits.activation < FLOAT_BITS:
            return self._activation(layer)
        return None

    def _module(self, layer: Layer) -> nn.Module:
        module: nn.Module | None = self.modules.get(layer.name)
        if module is None:
            raise InputError(
                f"layer {layer.name}", got=f"the function {layer.kind} or a module that is called twice",
                wanted="a module of its own, in whose place a quantized one can stand",
                do="give each call its own module of torch.nn",
            )  # fmt: skip
        return module

    def _activation(self, layer: Layer) -> nn.Module | None:
        """A ReLU is part of the quantizers; what stands in a skip path in float has no quantizer."""
        module, bits = self._module(layer), self.bits.activation_of(layer)
        in_float = layer.precision == "skip" and self.bits.skips_floats
        quantizer = self.plan.activations(self.bits.activation if in_float else bits)
        if layer.op == ReLU():
            return FloatReLU(quantizer.float_form) if in_float else QuantReLU(quantizer)
        return None if in_float else QuantActivation(module, layer.op, quantizer)

    def _with_quantized_weights(self, layer: Layer) -> nn.Module | None:
        """A layer at the edge takes the method's convention, which may be to leave it in float."""
        module, bits = self._module(layer), self.bits.weight_of(layer)
        inputs = self.inputs.get(layer.inputs[0])
        if bits == FLOAT_BITS and inputs is None:
            return None
        if not isinstance(module, Weighted):
            raise InputError(
                f"layer {layer.name}", got=type(module).__name__, wanted="one that has a quantized form",
                do="train it in float, with --method fp32",
            )  # fmt: skip
        weights = self.plan.weights(bits, tuple(module.weight.shape), edge=layer.precision == "edge")
        if isinstance(module, nn.Linear):
            return QuantLinear(module, weights, inputs)
        return QUANT_CONVOLUTIONS[len(module.kernel_size) - 1](module, weights, inputs)


def _quantizer_behind(
    layer: Layer | None, layers: Mapping[str, Layer], modules: Mapping[str, nn.Module | None]
) -> tuple[nn.Module, ...]:
    """What makes the codes that ``layer`` hands on unchanged; nothing where it hands on others.

    What a dropout leaves is magnified, and so no whole number of steps.
    """
    while layer is not None and layer.op.passes_codes and not layer.op.drops and len(layer.inputs) == 1:
        layer = layers.get(layer.inputs[0])
    module = None if layer is None else modules.get(layer.name)
    return (module.quantizer,) if isinstance(module, QuantReLU) else ()
