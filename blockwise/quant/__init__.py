"""Quantization methods: the catalogue, single quantizers, and the conversion of a whole network."""

from dataclasses import replace

from torch import nn

from blockwise.quant.layers import FloatReLU, QuantConv2d, QuantLinear, QuantReLU
from blockwise.quant.methods import (
    apot,
    bnn,
    centroids,
    dorefa,
    dsq,
    fp32,
    inq,
    log2,
    lq_net,
    lsq,
    lsq_plus,
    pact,
    pq,
    ptq,
    qil,
    qnn,
    quant_noise,
    sat,
    stlq,
    ttq,
    twn,
    uniq,
    xnor,
)
from blockwise.quant.packing import Packed, code_block, pack, stored_bytes, unpack
from blockwise.quant.parameter_rules import Treatment
from blockwise.quant.precision import Edges, Skips, edges, skips
from blockwise.quant.quantizer import BITS, FLOAT_BITS, ROLES, Method, Quantizer, Role, Rule
from blockwise.quant.scheme import Scheme, check_bits, compose, find, lacks
from blockwise.quant.stages import ONE_STAGE, Stages
from devices.errors import unknown_name
from devices.network import Residual

__all__ = [
    "BITS",
    "FLOAT_BITS",
    "METHODS",
    "ONE_STAGE",
    "ROLES",
    "Edges",
    "Method",
    "Packed",
    "Quantizer",
    "Role",
    "Rule",
    "Scheme",
    "Stages",
    "Treatment",
    "code_block",
    "edges",
    "make",
    "method",
    "name_of",
    "pack",
    "quantize",
    "scheme",
    "stored_bytes",
    "unpack",
]

METHODS: dict[str, Method] = {
    entry.name: entry
    for entry in (
        fp32.METHOD,
        lsq.METHOD,
        dorefa.METHOD,
        qnn.METHOD,
        sat.METHOD,
        sat.CENTERED,
        pact.METHOD,
        lsq_plus.METHOD,
        qil.METHOD,
        dsq.METHOD,
        bnn.METHOD,
        twn.METHOD,
        xnor.METHOD,
        ttq.METHOD,
        lq_net.METHOD,
        log2.METHOD,
        inq.METHOD,
        apot.METHOD,
        stlq.METHOD,
        centroids.METHOD,
        pq.METHOD,
        uniq.METHOD,
        quant_noise.METHOD,
        *ptq.METHODS,
    )
}


def method(name: str) -> Method:
    """The method ``name``. Raises InputError naming the nearest match."""
    return find(METHODS, name)


def name_of(quantizer: Quantizer) -> str:
    """The method that a weight quantizer belongs to."""
    return next(name for name, entry in METHODS.items() if type(quantizer) is entry.weight)


def scheme(
    name: str, weight_method: str | None = None, activation_method: str | None = None,
    weight_bits: int | None = None, activation_bits: int | None = None,
) -> Scheme:  # fmt: skip
    """Methods for weights and activations: those of ``name``, or its partner's, unless others are given.

    At 32 bits weights, or activations, are left in float whichever method is named.
    Raises InputError for unknown names, and for a method that does not quantize what it is given for.
    """
    chosen = compose(METHODS, name, weight_method, activation_method)
    float32 = METHODS[fp32.METHOD.name]
    if weight_bits == FLOAT_BITS:
        chosen = replace(chosen, weight=float32, edge=float32)
    return replace(chosen, activation=float32) if activation_bits == FLOAT_BITS else chosen


def make(name: str, bits: int = 3, role: Role = "weight", shape: tuple[int, ...] = ()) -> Quantizer:
    """A quantizer: float tensor in, fake-quantized tensor of the same shape out.

    ``bits`` are those of the catalogue; ``shape`` is that of the weights. Raises InputError for an
    unknown method or role, a width or role that the method does not have.
    """
    chosen = method(name)
    if role not in ROLES:
        raise unknown_name("quantizer role", str(role), ROLES)
    kind = chosen.quantizer(role)
    if kind is None:
        raise lacks(chosen, role)
    check_bits(chosen, role, bits, f"{role} bits")
    return kind(bits, role, shape)


def quantize(
    model: nn.Module, by: Scheme | str, weight_bits: int | None = None, activation_bits: int | None = None,
    residual: Residual = "codes",
) -> nn.Module:  # fmt: skip
    """Quantize every convolution, linear layer and ReLU of ``model``, in place, and return it.

    Bits are 3 or what the method has, unless given. The first and the last layer take the weight
    method's own convention. Activations are quantized where they are made (at the ReLU), so that all
    readers share one set of codes; the input of the first layer is 8-bit images and needs no quantizer.
    With ``residual`` "float", what a residual sum reads stays in float, and the layers that read it too
    quantize their input; this needs a model that torch.fx can trace.
    """
    given = (weight_bits, activation_bits)
    plan = scheme(by, None, None, *given) if isinstance(by, str) else by
    weight_bits = plan.usual_bits("weight") if weight_bits is None else weight_bits
    activation_bits = plan.usual_bits("activation") if activation_bits is None else activation_bits
    if plan.is_float:
        return model
    plan.check(weight_bits, activation_bits)
    in_float = residual == "float" and activation_bits < FLOAT_BITS
    _Conversion(model, plan, weight_bits, activation_bits, skips(model) if in_float else Skips()).run()
    return model


class _Conversion:
    """Replaces modules by quantized ones."""

    def __init__(
        self, model: nn.Module, plan: Scheme, weight_bits: int, activation_bits: int, skips: Skips
    ) -> None:
        self.model, self.plan, self.rim, self.skips = model, plan, edges(model), skips
        self.weight_bits, self.activation_bits = weight_bits, activation_bits

    def run(self) -> None:
        for path, module in list(self.model.named_modules()):
            if isinstance(module, nn.Conv2d | nn.Linear):
                self._quantize_weights(path, module)
            elif isinstance(module, nn.ReLU) and self.activation_bits < FLOAT_BITS:
                self._replace(path, self._activation(path))

    def _replace(self, path: str, module: nn.Module) -> None:
        self.model.set_submodule(path, module)

    def _activation(self, path: str) -> nn.Module:
        wide = path == self.rim.activation and self.plan.edge_bits < FLOAT_BITS
        quantizer = self._activations(wide=wide)
        return FloatReLU(quantizer.float_form) if path in self.skips.activations else QuantReLU(quantizer)

    def _quantize_weights(self, path: str, module: nn.Conv2d | nn.Linear) -> None:
        """A layer at the edge takes the method's convention, which may be to leave it in float."""
        edge = path in self.rim.weights
        bits = max(self.weight_bits, self.plan.edge_bits) if edge else self.weight_bits
        reads_floats = path in self.skips.readers
        if bits == FLOAT_BITS and (edge or not reads_floats):
            return
        chosen = self.plan.edge if edge else self.plan.weight
        weights = make(chosen.name, bits, "weight", tuple(module.weight.shape))
        inputs = self._activations(wide=edge) if reads_floats else self._input(path)
        if isinstance(module, nn.Conv2d):
            self._replace(path, QuantConv2d(module, weights, inputs))
        else:
            self._replace(path, QuantLinear(module, weights, inputs))

    def _input(self, path: str) -> Quantizer | None:
        """The last layer quantizes what it reads if that is not codes already."""
        own = path == self.rim.weights[1] and self.rim.activation is None
        quantizes = own and max(self.plan.edge_bits, self.activation_bits) < FLOAT_BITS
        return self._activations(wide=True) if quantizes else None

    def _activations(self, *, wide: bool) -> Quantizer:
        chosen = self.plan.activation
        bits = max(self.activation_bits, self.plan.edge_bits) if wide else self.activation_bits
        if bits not in chosen.activation_bits:  # as at the edge of a binary network
            return make("lsq", bits, "activation")
        return make(chosen.name, bits, "activation")
