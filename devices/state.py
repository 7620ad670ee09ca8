"""The tensors that outlive an operation: a layer's parameters, optimizer state and packed form."""

from dataclasses import dataclass

from devices import categories as cat
from devices.costs import FLOAT_BITS
from devices.errors import InputError, unknown_name
from devices.network import Layer
from devices.schedule import Program

OPTIMIZER_STATES: dict[str, int] = {"sgd": 0, "sgd-momentum": 1, "adam": 2}
"""32-bit values that each optimizer keeps per trainable parameter."""

MAX_BITS = 8


@dataclass(frozen=True)
class Bits:
    """Bit widths of a run. 32 stands for float32, everything narrower for integer codes."""

    weight: int = 3
    activation: int = 3
    edge: int = 8  # weights and activations of the first and the last layer
    learned_step: bool = True  # the quantizer trains a step size (LSQ does, DoReFa does not)

    def __post_init__(self) -> None:
        for name in ("weight", "activation", "edge"):
            bits = getattr(self, name)
            if type(bits) is not int or not (1 <= bits <= MAX_BITS or bits == FLOAT_BITS):
                raise InputError(f"{name} bits", got=bits, wanted="1 to 8, or 32", do="change it")

    def weight_of(self, layer: Layer) -> int:
        """Bits of the layer's weight codes."""
        return self._of(layer, self.weight)

    def activation_of(self, layer: Layer) -> int:
        """Bits of the codes that the layer writes or reads.

        Where first and last layers are float, the ReLU before the last one still writes codes.
        """
        if layer.precision == "edge" and self.edge == FLOAT_BITS and not layer.weights:
            return self.activation
        return self._of(layer, self.activation)

    def _of(self, layer: Layer, inner: int) -> int:
        if layer.precision == "float":
            return FLOAT_BITS
        return inner if layer.precision == "inner" else max(inner, self.edge)


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

    @property
    def tensors(self) -> tuple[str, ...]:
        """The value and its optimizer state."""
        return (self.latent, *self.states)


class State:
    """Declares a layer's tensors, once, in the form in which it is resident."""

    def __init__(self, program: Program, bits: Bits, optimizer: str, *, steps: bool) -> None:
        self.program, self.bits, self.steps = program, bits, steps
        self.states_per_parameter = optimizer_states(optimizer)

    def trainable(self, layer: Layer, owner: str, *, resident: bool) -> tuple[Parameter, ...]:
        """The layer's trained parameters: weights, biases or a norm's affine pair, step sizes."""
        rows = [("weight", layer.weights, cat.LATENT_WEIGHTS), ("bias", layer.biases, cat.LATENT_WEIGHTS)]
        if self.steps and self.has_step(layer):
            rows.append(("step", 1, cat.NORM_AND_QUANTIZER))
        return tuple(
            self._parameter(f"{layer.name}.{what}", elements, category, owner, resident)
            for what, elements, category in rows
            if elements
        )

    def has_step(self, layer: Layer) -> bool:
        """Whether a quantizer with a trained step size belongs to the layer."""
        if not self.bits.learned_step:
            return False
        if layer.weights:
            return self.bits.weight_of(layer) < FLOAT_BITS
        return layer.kind in ("relu", "quantize") and self.bits.activation_of(layer) < FLOAT_BITS

    def _parameter(self, name: str, elements: int, category: str, owner: str, resident: bool) -> Parameter:
        declare = self.program.tensor
        value = declare(name, (elements,), FLOAT_BITS, category, owner, resident=resident)
        states = tuple(
            declare(f"{name}.state{i + 1}", (elements,), FLOAT_BITS, cat.OPTIMIZER_STATE, owner,
                    resident=resident)
            for i in range(self.states_per_parameter)
        )  # fmt: skip
        return Parameter(value, elements, owner, states)

    def buffers(self, layer: Layer, owner: str, *, resident: bool) -> tuple[str, ...]:
        """The running statistics of a norm in training."""
        if not layer.buffers:
            return ()
        name, shape = f"{layer.name}.running", (layer.buffers,)
        declare = self.program.tensor
        return (declare(name, shape, FLOAT_BITS, cat.NORM_AND_QUANTIZER, owner, resident=resident),)

    def packed(self, layer: Layer, owner: str, suffix: str) -> tuple[str, ...]:
        """The layer as deployed: weight codes; biases, a folded norm and step sizes at 32 bits."""
        bits = self.bits.weight_of(layer)
        rows = [("codes", layer.weights, bits, cat.PACKED_WEIGHTS)]
        if layer.buffers:  # running statistics and affine pair fold into a scale and a shift
            rows.append(("folded", layer.buffers, FLOAT_BITS, cat.NORM_AND_QUANTIZER))
        else:
            rows.append(("bias", layer.biases, FLOAT_BITS, cat.PACKED_WEIGHTS))
        if self.has_step(layer):
            rows.append(("step", 1, FLOAT_BITS, cat.NORM_AND_QUANTIZER))
        return tuple(
            self.program.tensor(f"{layer.name}.{what}.{suffix}", (elements,), width, category, owner)
            for what, elements, width, category in rows
            if elements
        )
