"""The tensors that outlive an operation: a layer's parameters, optimizer state and packed form."""

from dataclasses import dataclass, replace

from devices.errors import InputError, unknown_name
from devices.network import Layer, Residual
from devices.network.ops import FrozenNorm, Quantize
from devices.program import categories as cat
from devices.program.accountings import FLOAT_BITS
from devices.program.schedule import Program

OPTIMIZER_STATES: dict[str, int] = {"sgd": 0, "sgd-momentum": 1, "adam": 2}
"""32-bit values that each optimizer keeps per trainable parameter."""

COUNTER_BITS = 64
"""PyTorch's batch norms count the batches they have seen in an int64."""

FLAG_BITS = 8
"""Whether a frozen norm has its constants: a bool in PyTorch."""

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
    mask_bits: int = 0  # per weight in training: which of them are settled
    blocks: bool = False  # whether one code stands for a block of weights (Layer.code_block)
    levels: int | None = None  # of activations: values in training that whoever reads codes needs; None: all


FIXED_LEVELS = QuantizerMemory()
"""Nothing: the levels are fixed (DoReFa)."""

ONE_STEP = QuantizerMemory(trained=1, packed=1, reads_value=True)
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
        if bits != self.activation:  # at the edge
            return self.edge_activations or self.activations
        signed = isinstance(layer.op, Quantize) and layer.op.signed
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


def optimizer_states(optimizer: str) -> int:
    """State values per parameter. Raises InputError for an unknown optimizer."""
    if optimizer not in OPTIMIZER_STATES:
        raise unknown_name("optimizer", optimizer, OPTIMIZER_STATES)
    return OPTIMIZER_STATES[optimizer]


@dataclass(frozen=True)
class Parameter:
    """One trainable tensor with its state tensors. ``latent`` is its float value."""

    latent: str
    elements: int
    owner: str
    states: tuple[str, ...]
    parts: int = 1  # tensors in PyTorch: scale and shift of a norm are two

    @property
    def tensors(self) -> tuple[str, ...]:
        """The value and its optimizer state."""
        return (self.latent, *self.states)


class State:
    """Declares a layer's tensors, once, in the form in which it is resident."""

    def __init__(
        self, program: Program, bits: Bits, optimizer: str, *, steps: bool, counts: bool = False
    ) -> None:
        """``steps``: step sizes are trained; ``counts``: PyTorch's counters and flags are kept."""
        self.program, self.bits, self.steps, self.counts = program, bits, steps, counts
        self.states_per_parameter = optimizer_states(optimizer)
        self.counts_steps = optimizer == "adam"  # torch's, per parameter; a device needs one number

    def trainable(
        self, layer: Layer, owner: str, *, resident: bool, states: bool = True
    ) -> tuple[Parameter, ...]:
        """The layer's trained parameters: weights, biases or a norm's affine pair, step sizes."""
        rows = [("weight", layer.weights, cat.LATENT_WEIGHTS), ("bias", layer.biases, cat.LATENT_WEIGHTS)]
        if self.steps:
            quantizer = self.bits.quantizer_of(layer)
            trained = quantizer.trained * (layer.code_block if quantizer.blocks else 1)
            rows.append(("step", trained, cat.NORM_AND_QUANTIZER))
        return tuple(
            self._parameter(layer, what, elements, category, owner, resident, states)
            for what, elements, category in rows
            if elements
        )

    def _parameter(
        self, layer: Layer, what: str, elements: int, category: str, owner: str, resident: bool, states: bool
    ) -> Parameter:
        name = f"{layer.name}.{what}"
        value = self.program.tensor(name, (elements,), FLOAT_BITS, category, owner, resident=resident)
        bare = Parameter(value, elements, owner, (), parts=1 if layer.weights or what == "step" else 2)
        return self.with_states(bare, resident=resident) if states else bare

    def with_states(self, parameter: Parameter, *, resident: bool = False) -> Parameter:
        """The parameter with its optimizer state."""
        states = tuple(
            self.program.tensor(
                f"{parameter.latent}.state{i + 1}", (parameter.elements,), FLOAT_BITS, cat.OPTIMIZER_STATE,
                parameter.owner, resident=resident,
            )
            for i in range(self.states_per_parameter)
        )  # fmt: skip
        if self.counts and self.counts_steps:
            name, category = f"{parameter.latent}.steps", cat.OPTIMIZER_STATE
            states += (
                self.program.tensor(
                    name, (parameter.parts,), FLOAT_BITS, category, parameter.owner, resident=resident
                ),
            )
        return replace(parameter, states=states)

    def buffers(self, layer: Layer, owner: str, *, resident: bool) -> tuple[str, ...]:
        """The running statistics of a norm in training; what a quantizer keeps beside parameters."""
        quantizer = self.bits.quantizer_of(layer)
        kept = quantizer.kept * (layer.shape[0] if quantizer.per_channel else 1)
        rows = [
            ("running", layer.buffers, FLOAT_BITS), ("levels", kept, FLOAT_BITS),
            ("settled", layer.weights if quantizer.mask_bits else 0, quantizer.mask_bits),
        ]  # fmt: skip
        if self.counts and layer.op.batch_statistics:
            rows.append(("batches", 1, COUNTER_BITS))
        if self.counts and isinstance(layer.op, FrozenNorm):
            rows.append(("ready", 1, FLAG_BITS))
        declare, category = self.program.tensor, cat.NORM_AND_QUANTIZER
        return tuple(
            declare(f"{layer.name}.{what}", (elements,), bits, category, owner, resident=resident)
            for what, elements, bits in rows
            if elements
        )

    def packed(self, layer: Layer, owner: str, suffix: str) -> tuple[str, ...]:
        """The layer as deployed: weight codes; biases, a folded norm and a quantizer's values at 32 bits."""
        bits, quantizer = self.bits.weight_of(layer), self.bits.quantizer_of(layer)
        codes = layer.weights // (layer.code_block if quantizer.blocks else 1)
        rows = [("codes", codes, bits, cat.PACKED_WEIGHTS)]
        if layer.buffers:  # running statistics and affine pair fold into a scale and a shift
            rows.append(("folded", layer.buffers, FLOAT_BITS, cat.NORM_AND_QUANTIZER))
        else:
            rows.append(("bias", layer.biases, FLOAT_BITS, cat.PACKED_WEIGHTS))
        values = quantizer.packed * (layer.shape[0] if quantizer.per_channel else 1)
        if quantizer.blocks:  # a codebook of blocks
            values *= layer.code_block
        rows.append(("step", values, FLOAT_BITS, cat.NORM_AND_QUANTIZER))
        return tuple(
            self.program.tensor(f"{layer.name}.{what}.{suffix}", (elements,), width, category, owner)
            for what, elements, width, category in rows
            if elements
        )
