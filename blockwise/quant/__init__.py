"""Quantization methods: the catalogue, single quantizers, and the conversion of a whole network."""

from torch import nn

from blockwise.quant import dorefa, fp32, lsq
from blockwise.quant.layers import QuantConv2d, QuantLinear, QuantReLU
from blockwise.quant.precision import Edges, edges
from blockwise.quant.quantizer import ROLES, Method, Quantizer, Role
from devices.errors import InputError, unknown_name

__all__ = ["METHODS", "Edges", "Method", "Quantizer", "edges", "make", "method", "quantize"]

METHODS: dict[str, Method] = {
    "fp32": fp32.METHOD,
    "lsq": lsq.METHOD,
    "dorefa": dorefa.METHOD,
}
FLOAT_BITS = 32
BITS = (*range(1, 9), 16)
"""Widths of codes; microcontrollers store them packed up to 8 bits, and as 16-bit integers."""


def method(name: str) -> Method:
    """The method ``name``. Raises InputError naming the nearest match."""
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    return METHODS[name]


def check_bits(name: str, bits: int, what: str) -> None:
    """Refuse bit widths that the method does not have: 1 to 8 and 16, and 32 as fp32 only."""
    wanted_float = name == "fp32"
    if type(bits) is int and (bits == FLOAT_BITS if wanted_float else bits in BITS):
        return
    if wanted_float:
        raise InputError(what, got=bits, wanted="32 with fp32", do="choose a method that quantizes")
    do = "use --method fp32 for 32" if bits == FLOAT_BITS else "choose one of these widths"
    raise InputError(what, got=bits, wanted="1 to 8, or 16", do=do)


def make(name: str, bits: int = 3, role: Role = "weight") -> Quantizer:
    """A quantizer: float tensor in, fake-quantized tensor of the same shape out.

    ``bits`` 1 to 8, or 16 (ignored by fp32). Raises InputError for an unknown method, role or width.
    """
    chosen = method(name)
    if role not in ROLES:
        raise unknown_name("quantizer role", str(role), ROLES)
    if name != "fp32":
        check_bits(name, bits, f"{role} bits")
    return (chosen.weight if role == "weight" else chosen.activation)(bits, role)


def quantize(model: nn.Module, name: str, weight_bits: int = 3, activation_bits: int = 3) -> nn.Module:
    """Quantize every convolution, linear layer and ReLU of ``model``, in place, and return it.

    The first and the last layer take the method's own convention. Activations are quantized where
    they are made (at the ReLU), so that all readers share one set of codes; the input of the first
    layer is 8-bit images and needs no quantizer.
    """
    chosen = method(name)
    if name == "fp32":
        return model
    check_bits(name, weight_bits, "weight bits")
    check_bits(name, activation_bits, "activation bits")
    rim = edges(model)
    for path, module in list(model.named_modules()):
        edge = path in rim.weights
        if edge and chosen.edge_bits == FLOAT_BITS:
            continue
        bits = max(weight_bits, chosen.edge_bits) if edge else weight_bits
        if isinstance(module, nn.Conv2d):
            model.set_submodule(path, QuantConv2d(module, make(name, bits, "weight")))
        elif isinstance(module, nn.Linear):
            own_input = edge and path == rim.weights[1] and rim.activation is None
            reader = make(name, bits, "activation") if own_input else None
            model.set_submodule(path, QuantLinear(module, make(name, bits, "weight"), reader))
        elif isinstance(module, nn.ReLU):
            wide = path == rim.activation and chosen.edge_bits < FLOAT_BITS
            width = max(activation_bits, chosen.edge_bits) if wide else activation_bits
            model.set_submodule(path, QuantReLU(make(name, width, "activation")))
    return model
