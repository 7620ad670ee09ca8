"""The tensors that outlive an operation: a layer's parameters, optimizer state and packed form."""

from dataclasses import replace

from devices.errors import unknown_name
from devices.network import Layer
from devices.network.bits import Bits
from devices.network.ops import FrozenNorm
from devices.program import categories as cat
from devices.program.accountings import FLOAT_BITS
from devices.program.parameter import Parameter
from devices.program.schedule import Program

OPTIMIZER_STATES: dict[str, int] = {"sgd": 0, "sgd-momentum": 1, "adam": 2}
"""32-bit values that each optimizer keeps per trainable parameter."""

COUNTER_BITS = 64
"""PyTorch's batch norms count the batches they have seen in an int64."""

FROZEN = "frozen"
"""Behind the name of what is never trained."""

AHEAD = "ahead"
"""Behind the name of a copy that the head of the block before reads."""

ASKED = "asked"
"""Behind the name of a copy by which a block answers before its turn."""

FLAG_BITS = 8
"""Whether a frozen norm has its constants: a bool in PyTorch."""


def optimizer_states(optimizer: str) -> int:
    """State values per parameter. Raises InputError for an unknown optimizer."""
    if optimizer not in OPTIMIZER_STATES:
        raise unknown_name("optimizer", optimizer, OPTIMIZER_STATES)
    return OPTIMIZER_STATES[optimizer]


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
        rows = []
        if layer.trained.weights:
            rows.append(("weight", layer.trained_weights, cat.LATENT_WEIGHTS))
        if layer.trained.biases:
            rows.append(("bias", layer.biases, cat.LATENT_WEIGHTS))
        if self.steps and layer.trained.levels:
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
        bare = Parameter(value, elements, owner, (), parts=layer.op.bias_tensors if what == "bias" else 1)
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
        rows = [("running", layer.buffers, FLOAT_BITS)] if layer.trained.biases else []
        if layer.trained.levels:
            rows.append(("levels", kept, FLOAT_BITS))
            rows.append(("settled", layer.weights if quantizer.mask_bits else 0, quantizer.mask_bits))
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

    def trainable_ahead(self, layer: Layer, owner: str) -> tuple[str, ...]:
        """Copies of what weights are made of, beside that of the block that trains them."""
        weights = layer.weights * layer.trained.weights
        return self._copied(layer, owner, AHEAD, [("weight", weights, cat.LATENT_WEIGHTS)])

    def copies(self, layer: Layer, owner: str) -> tuple[str, ...]:
        """Copies of all that a layer computes by at rest, but for what is frozen of it."""
        biases = layer.trained.biases
        rows = [
            ("weight", layer.trained_weights, cat.LATENT_WEIGHTS),
            ("bias", layer.biases * biases, cat.LATENT_WEIGHTS),
            ("running", layer.buffers * biases, cat.NORM_AND_QUANTIZER),
        ]
        return self._copied(layer, owner, ASKED, rows)

    def _copied(
        self, layer: Layer, owner: str, suffix: str, rows: list[tuple[str, int, str]]
    ) -> tuple[str, ...]:
        """Copies of these rows, and of what gives codes their values if that is trained."""
        quantizer = self.bits.quantizer_of(layer)
        trained = quantizer.trained * (layer.code_block if quantizer.blocks else 1)
        kept = quantizer.kept * (layer.shape[0] if quantizer.per_channel else 1)
        rows += [
            ("step", trained * layer.trained.levels, cat.NORM_AND_QUANTIZER),
            ("levels", kept * layer.trained.levels, cat.NORM_AND_QUANTIZER),
        ]
        return tuple(
            self.program.tensor(f"{layer.name}.{what}.{suffix}", (elements,), FLOAT_BITS, category, owner)
            for what, elements, category in rows
            if elements
        )

    def packed(self, layer: Layer, owner: str, suffix: str) -> tuple[str, ...]:
        """What is trained of the layer, as deployed: :meth:`frozen` has the rest."""
        return self._deployed(layer, owner, suffix, trained=True)

    def frozen(self, layer: Layer, owner: str, *, mapped: bool) -> tuple[str, ...]:
        """What is not trained of the layer: packed in RAM throughout, or ``mapped`` to flash."""
        return self._deployed(layer, owner, FROZEN, trained=False, resident=not mapped, mapped=mapped)

    def _deployed(
        self, layer: Layer, owner: str, suffix: str, *, trained: bool, **place: bool
    ) -> tuple[str, ...]:
        """Weight codes; biases, a folded norm and a quantizer's values at 32 bits."""
        bits, quantizer = self.bits.weight_of(layer), self.bits.quantizer_of(layer)
        codes = layer.weights // (layer.code_block if quantizer.blocks else 1)
        values = (quantizer.packed if trained else quantizer.frozen) * (
            layer.shape[0] if quantizer.per_channel else 1
        )
        if quantizer.blocks:  # a codebook of blocks
            values *= layer.code_block
        taken = layer.trained_weights if layer.is_shared else codes * layer.trained.weights
        rows = [("codes", taken if trained else codes - taken, bits, cat.PACKED_WEIGHTS)]
        if layer.trained.biases is trained:
            # running statistics and affine pair fold into a scale and a shift
            folded = ("folded", layer.op.folded, FLOAT_BITS, cat.NORM_AND_QUANTIZER)
            rows.append(folded if layer.buffers else ("bias", layer.biases, FLOAT_BITS, cat.PACKED_WEIGHTS))
        if layer.trained.levels is trained:
            rows.append(("step", values, FLOAT_BITS, cat.NORM_AND_QUANTIZER))
        return tuple(
            self.program.tensor(f"{layer.name}.{what}.{suffix}", (elements,), width, category, owner, **place)
            for what, elements, width, category in rows
            if elements
        )
