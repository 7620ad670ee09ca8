"""A method for weights and one for activations, which may be two: what a network is quantized by."""

from collections.abc import Mapping
from dataclasses import dataclass

from blockwise.quant.layers import Signed
from blockwise.quant.methods import bnn, lsq, lsq_plus, qil
from blockwise.quant.quantizer import BITS, FLOAT_BITS, Method, Quantizer, Role
from blockwise.quant.stages import Stages
from devices.errors import InputError, unknown_name
from devices.network import Residual
from devices.network.bits import FIXED_LEVELS, Bits, QuantizerMemory

USUAL_BITS = 3
PLURAL: dict[Role, str] = {"weight": "weights", "activation": "activations"}


@dataclass(frozen=True)
class Scheme:
    """The methods of weights and activations; ``edge`` is that of the first and last layer."""

    weight: Method
    activation: Method
    edge: Method

    @property
    def name(self) -> str:
        """One name if it is one method."""
        names = dict.fromkeys((self.weight.name, self.activation.name))
        return " + ".join(names)

    @property
    def is_float(self) -> bool:
        """Whether nothing is quantized."""
        return self.weight.levels == self.activation.levels == "float"

    @property
    def edge_bits(self) -> int:
        """Least bits of the first and last layer."""
        return self.weight.edge_bits

    @property
    def stages(self) -> Stages:
        """The stages of the training, each with a schedule of its own."""
        return Stages(max(self.weight.stages, self.activation.stages, key=len), restarts=True)

    @property
    def residual(self) -> Residual:
        """What skip paths hold by the convention of the activations' method."""
        return self.activation.residual

    def usual_bits(self, role: Role) -> int:
        """Three bits, or what the method has."""
        allowed = (self.weight if role == "weight" else self.activation).bits(role)
        return USUAL_BITS if USUAL_BITS in allowed else allowed[-1]

    def activation_at(self, bits: int) -> Method:
        """The method of activations at a width; LSQ where it has none, as at the edge of a binary network."""
        return self.activation if bits in self.activation.activation_bits else lsq.METHOD

    def magnitude_at(self, bits: int) -> Method:
        """The method of magnitudes, of 15 bits that of 16 with the sign.

        They have no offset: with a sign before it zero would be a level more.
        """
        chosen = self.activation_at(bits + 1 if bits + 1 == BITS[-1] else bits)
        return lsq.METHOD if chosen in (lsq_plus.METHOD, qil.METHOD) else chosen

    @property
    def after_training(self) -> bool:
        """Whether anything is in float until the training has ended."""
        return self.weight.after_training or self.activation.after_training

    def activations(self, bits: int) -> Quantizer:
        """A quantizer of activations."""
        return made(self.activation_at(bits), "activation", bits)

    def floats(self, bits: int, *, signed: bool) -> Quantizer | Signed:
        """One of floats that no activation made; of ``signed`` ones a bit is the sign."""
        if not signed:
            return self.activations(bits)
        if bits == 1:
            return made(bnn.METHOD, "activation", bits)
        chosen = self.magnitude_at(bits - 1)
        if self.activation.after_training and not chosen.after_training:
            raise InputError(
                "--activation-bits", got=f"{bits} for values of both signs",
                wanted=f"at least {bits + 1} with {self.activation.name}", do="choose more bits",
            )  # fmt: skip
        kind = chosen.quantizer("activation")
        assert kind is not None
        return Signed(kind(bits - 1, "activation"))

    def weights(self, bits: int, shape: tuple[int, ...], *, edge: bool) -> Quantizer:
        """A quantizer of weights of this shape."""
        return made(self.edge if edge else self.weight, "weight", bits, shape)

    def check(
        self, weight_bits: int, activation_bits: int, weight_flag: str = "--weight-bits",
        activation_flag: str = "--activation-bits",
    ) -> None:  # fmt: skip
        """Refuse widths that the methods do not have."""
        check_bits(self.weight, "weight", weight_bits, weight_flag)
        check_bits(self.activation, "activation", activation_bits, activation_flag)

    def bits(self, weight_bits: int, activation_bits: int, residual: Residual = "codes") -> Bits:
        """The widths in training, and what the quantizers hold, as the accounting takes them.

        What is quantized after the training is in float until then.
        """
        if self.weight.after_training and self.activation.after_training:
            return Bits(FLOAT_BITS, FLOAT_BITS, FLOAT_BITS)
        weight_bits = FLOAT_BITS if self.weight.after_training else weight_bits
        activation_bits = FLOAT_BITS if self.activation.after_training else activation_bits
        edge = max(weight_bits, self.edge_bits)
        return Bits(
            weight_bits,
            activation_bits,
            self.edge_bits,
            memory(self.weight, "weight", weight_bits),
            memory(self.activation, "activation", activation_bits),
            None if edge == FLOAT_BITS else memory(self.edge, "weight", edge),
            residual,
            self._edge_activations(max(activation_bits, self.edge_bits)),
            self._signed_activations(activation_bits),
            self._signed_activations(max(activation_bits, self.edge_bits)),
            self.signed_codes(activation_bits),
        )

    def signed_codes(self, bits: int) -> bool:
        """Whether activations of this width have codes of both signs, as where they are signs alone."""
        kind = self.activation_at(bits).quantizer("activation") if bits < FLOAT_BITS else None
        return kind is not None and kind.symmetric

    def _signed_activations(self, bits: int) -> QuantizerMemory | None:
        """Of a magnitude, which has a bit less, if that holds something else."""
        if bits == FLOAT_BITS:
            return None
        chosen = bnn.METHOD if bits == 1 else self.magnitude_at(bits - 1)
        found = memory(chosen, "activation", max(bits - 1, 1))
        return None if found == memory(self.activation_at(bits), "activation", bits) else found

    def _edge_activations(self, bits: int) -> QuantizerMemory | None:
        """Where the first and last layer's activations have another quantizer."""
        chosen = self.activation_at(bits)
        return None if bits == FLOAT_BITS or chosen is self.activation else memory(chosen, "activation", bits)


def made(method: Method, role: Role, bits: int, shape: tuple[int, ...] = ()) -> Quantizer:
    """A quantizer of a method that has one. Raises InputError for a width that it does not have."""
    check_bits(method, role, bits, f"{role} bits")
    kind = method.quantizer(role)
    assert kind is not None
    return kind(bits, role, shape)


def memory(method: Method, role: Role, bits: int) -> QuantizerMemory:
    """What a quantizer of the method holds beside codes."""
    kind = method.quantizer(role)
    return kind.memory(bits) if kind and bits < FLOAT_BITS else FIXED_LEVELS


def check_bits(method: Method, role: Role, bits: int, what: str) -> None:
    """Refuse a width that the method does not have."""
    allowed = method.bits(role)
    if type(bits) is int and bits in allowed:
        return
    do = "use --method fp32 for 32" if bits == FLOAT_BITS else "choose another width or method"
    raise InputError(what, got=bits, wanted=f"{spelt(allowed)} with {method.name}", do=do)


def spelt(bits: tuple[int, ...]) -> str:
    """Widths as users write them: ``1 to 8 or 16``."""
    run = [b for i, b in enumerate(bits) if b == bits[0] + i]
    rest = [str(b) for b in bits[len(run) :]]
    first = f"{run[0]} to {run[-1]}" if len(run) > 2 else " or ".join(map(str, run))
    return " or ".join([first, *rest])


def compose(
    methods: Mapping[str, Method], name: str, weight_method: str | None, activation_method: str | None
) -> Scheme:
    """The scheme of ``name``, with other methods for weights or activations where they are given.

    Raises InputError for unknown names, and for a method asked to do what it does not.
    """
    chosen = find(methods, name)
    weight = _for(methods, chosen, "weight", weight_method)
    activation = _for(methods, chosen, "activation", activation_method)
    return Scheme(weight, activation, methods[weight.edge_method or weight.name])


def find(methods: Mapping[str, Method], name: str) -> Method:
    """The method ``name``. Raises InputError naming the nearest match."""
    if name not in methods:
        raise unknown_name("method", name, methods)
    return methods[name]


def _for(methods: Mapping[str, Method], chosen: Method, role: Role, asked: str | None) -> Method:
    method = find(methods, asked) if asked else chosen
    if method.quantizer(role) is not None:
        return method
    if asked:
        raise lacks(method, role)
    return methods[method.partner]


def lacks(method: Method, role: Role) -> InputError:
    """The complaint about a method that does not quantize weights, or activations."""
    other: Role = "activation" if role == "weight" else "weight"
    return InputError(
        f"--{role}-method", got=f"{method.name}, which quantizes {PLURAL[other]} only",
        wanted=f"a method for {PLURAL[role]}", do=f"choose another, as {method.partner}",
    )  # fmt: skip
