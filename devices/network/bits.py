"""The bit widths of a run, and what its quantizers hold beside codes."""

from dataclasses import dataclass

from devices.errors import InputError, unknown_name
from devices.network.layers import Layer, Residual
from devices.network.ops import Quantize

FLOAT_BITS = 32
"""Accumulators, error gradients, latent weights and optimizer state are 32 bits wide."""

WIDTHS = (*range(1, 9), 16, FLOAT_BITS)
"""Bits that weights and activations may have."""

RESIDUALS: tuple[Residual, ...] = ("codes", "float")


@dataclass(frozen=True)
class QuantizerMemory:
    """What one quantizer holds beside latent weights and codes: numbers of 32-bit values."""

    trained: int = 0  # stepped by the optimizer
    kept: int = 0  # in training: what follows a rule of its own, or stays constant
    packed: int = 0  # beside the packed codes
    per_channel: bool = False  # whether ``kept`` and ``packed`` count for every output channel
    reads_value: bool = False  # whether its gradient needs the value before rounding
    reads_codes: bool = False  # whether its gradient needs the codes beside the mask
    by_filter: bool = True  # of weights: whether a filter's gradient is made of its own weights' alone
    apart: bool = False  # of weights: whether a code follows from its weight and ``trained`` alone
    mask_bits: int = 0  # per weight in training: which of them are settled
    blocks: bool = False  # whether one code stands for a block of weights (Layer.code_block)
    levels: int | None = None  # of activations: values in training that whoever reads codes needs; None: all
    graded: bool = False  # of activations: whether a gradient is scaled by where in the range a value lies

    @property
    def frozen(self) -> int:
        """Values of one that is not trained while others are: what it quantizes, and scales gradients, by."""
        return self.trained if self.graded else self.packed


FIXED_LEVELS = QuantizerMemory()
"""Nothing: the levels are fixed (DoReFa)."""

ONE_STEP = QuantizerMemory(trained=1, packed=1, reads_value=True, apart=True)
"""A trained step size (LSQ)."""


@dataclass(frozen=True)
class Bits:
    """Bit widths of a run. 32 stands for float32, everything narrower for integer codes."""

    weight: int = 3
    activation: int = 3
    edge: int = 8  # at least so many for weights and activations of the first and the last layer
    weights: QuantizerMemory = ONE_STEP
    activations: QuantizerMemory = ONE_STEP
    edge_weights: QuantizerMemory | None = None  # where first and last layer have another quantizer
    residual: Residual = "codes"  # what skip paths hold, where activations are codes
    edge_activations: QuantizerMemory | None = None  # as edge_weights
    signed_activations: QuantizerMemory | None = None  # where floats of both signs have another quantizer
    signed_edge: QuantizerMemory | None = None  # as signed_activations, at the edge
    signed_codes: bool = False  # whether codes of activations have both signs, in place of a ReLU's one

    def __post_init__(self) -> None:
        for name in ("weight", "activation", "edge"):
            bits = getattr(self, name)
            if type(bits) is not int or bits not in WIDTHS:
                raise InputError(f"{name} bits", got=bits, wanted="1 to 8, 16 or 32", do="change it")
        if self.residual not in RESIDUALS:
            raise unknown_name("residual", self.residual, RESIDUALS)

    @property
    def skips_floats(self) -> bool:
        """Whether skip paths hold floats beside codes."""
        return self.residual == "float" and self.activation < FLOAT_BITS

    def quantizer_of(self, layer: Layer) -> QuantizerMemory:
        """What the layer's quantizer holds; nothing where it has none."""
        if layer.weights:
            own = self.edge_weights if layer.precision == "edge" else None
            return (own or self.weights) if self.weight_of(layer) < FLOAT_BITS else FIXED_LEVELS
        bits = self.activation_of(layer)
        if not layer.op.makes_codes or bits == FLOAT_BITS:
            return FIXED_LEVELS
        signed = isinstance(layer.op, Quantize) and layer.op.signed
        if bits != self.activation:  # at the edge
            return (self.signed_edge if signed else None) or self.edge_activations or self.activations
        return (self.signed_activations if signed else None) or self.activations

    def weight_of(self, layer: Layer) -> int:
        """Bits of the layer's weight codes."""
        return self._of(layer, self.weight)

    def activation_of(self, layer: Layer) -> int:
        """Bits of the codes that the layer writes or reads.

        Where first and last layers are float, the ReLU before the last one still writes codes.
        """
        if layer.precision == "edge" and self.edge == FLOAT_BITS and not layer.weights:
            return self.activation
        if layer.precision == "skip" and self.skips_floats:
            return FLOAT_BITS
        return self._of(layer, self.activation)

    def _of(self, layer: Layer, inner: int) -> int:
        if layer.precision == "float":
            return FLOAT_BITS
        return max(inner, self.edge) if layer.precision == "edge" else inner
