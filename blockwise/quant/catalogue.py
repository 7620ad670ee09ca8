"""The quantization methods by name, single quantizers of them, and the schemes that they make up."""

from dataclasses import replace

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
from blockwise.quant.quantizer import FLOAT_BITS, ROLES, Method, Quantizer, Role
from blockwise.quant.scheme import Scheme, compose, find, lacks, made
from devices.errors import unknown_name

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
    if chosen.quantizer(role) is None:
        raise lacks(chosen, role)
    return made(chosen, role, bits, shape)
