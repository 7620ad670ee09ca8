"""What lowerings share: where outputs and gradients are, and what is saved for the backward pass."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from devices.network import LABELS, Layer, Network
from devices.network.bits import Bits, QuantizerMemory
from devices.network.ops import ChannelDropout, RecomputedBatchNorm, Row
from devices.program.accountings import FLOAT_BITS, CostTable
from devices.program.operation import Derived, Operand, Stored
from devices.program.parameter import Parameter
from devices.program.schedule import ACTIVATION, Program
from devices.program.values import Values


def _reads_value(quantizer: QuantizerMemory, layer: Layer) -> bool:
    """Whether a gradient needs the value before rounding: that of a trained step, or one that it scales."""
    return quantizer.reads_value and (layer.trained.levels or quantizer.graded)


class SavingLowering:
    """What a program in the making knows of its layers.

    Tensors are of ``batch`` images. The operations may stand for the same ones repeated, in the same
    buffers, until all ``images`` of the step have passed: their multiply-accumulates count.
    """

    optimizer = ""  # what torch.optim would need temporaries for
    gradient_bits = FLOAT_BITS  # of the error gradients of activations
    scatters = True  # whether a max pool's gradient is read through its positions

    def __init__(
        self, program: Program, network: Network, table: CostTable, bits: Bits, batch: int,
        images: int | None = None,
    ) -> None:  # fmt: skip
        self.program, self.table, self.bits, self.batch = program, table, bits, batch
        self.images = batch if images is None else images
        self.values = Values()
        self.saved: dict[str, tuple[tuple[str, Operand], ...]] = {}
        self._ending: set[str] = set()  # layers whose inputs get no gradient
        self.gradients: dict[str, str] = {}
        self.parameters: dict[str, tuple[Parameter, ...]] = {}
        self.held: dict[str, tuple[str, ...]] = {}  # resident tensors that a layer reads
        self._roles: dict[str, tuple[tuple[str, ...], tuple[tuple[str, Operand], ...]]] = {}  # with roles
        self.pending: list[tuple[Parameter, str, str]] = []  # parameter, its gradient, owner
        self.accumulators: dict[str, str] = {}  # parameter -> the gradient that all repetitions add to
        self._recipes: dict[str, tuple[Layer, Layer]] = {}  # normalised map -> its convolution and norm
        self._again: dict[str, str] = {}  # normalised map -> the one computed again
        self.scattered: dict[str, Derived] = {}  # gradient of a pool's output -> that of its input
        self.arrived: dict[str, tuple[str, ...]] = {}  # layer -> what its output's gradient is read from
        self._sharers: Counter[str] = Counter()
        self._readers = Counter(source for layer in network.all_layers for source in layer.inputs)
        self._reading: dict[str, list[Layer]] = defaultdict(list)  # by their first input, in order
        self._kept_anyway = {  # outputs that one of their readers may save
            source
            for layer in network.all_layers
            for source in layer.inputs
            if not layer.weights or layer.trained.weights
        }
        self._read_again = {x.inputs[0] for x in network.all_layers if isinstance(x.op, RecomputedBatchNorm)}
        self._shapes = {layer.name: layer.shape for layer in network.all_layers}
        self._owners = network.owners
        self._source = network.source
        self._label_bits = table.label_bits(network.classes)
        for layer in network.all_layers:
            for source in layer.inputs[:1]:
                self._reading[source].append(layer)
        program.layers.update((layer.name, layer) for layer in network.all_layers)

    def _save(
        self, layer: Layer, row: Row, sources: Sequence[Operand], output: str
    ) -> tuple[tuple[str, str], ...]:
        """Remember what the backward pass reads; returns the tensors made only for it, by role."""
        extras = self._extras(layer, row) | self._part(layer, sources)
        available: dict[str, tuple[Operand, ...]] = {
            "input": tuple(sources),
            "output": (Stored(output),),
            "labels": (self.values.outputs[LABELS],) if LABELS in self.values.outputs else (),
            **{what: tuple(map(Stored, names)) for what, names in extras.items()},
        }
        if "part" in extras:
            available["input"] = available["part"]
        self.saved[layer.name] = tuple((what, x) for what in self._saves(layer, row) for x in available[what])
        return tuple((what, name) for what, names in extras.items() for name in names)

    def _part(self, layer: Layer, sources: Sequence[Operand]) -> dict[str, tuple[str, ...]]:
        """Room for the input channels that a share of the weights reads, where they lie as they are read."""
        count, whole = layer.trained.inputs, sources[0]
        if not layer.trained.weights or count is None or not isinstance(whole, Stored):
            return {}
        tensor = self.program.declared(whole.tensor)
        shape = (self.batch, count, *tensor.shape[2:])
        name = self._declare(f"{layer.name}.part", shape, tensor.bits, ACTIVATION, self._owners[layer.name])
        self.values.levels[name] = self.values.levels.get(whole.tensor, ())
        self.values.makers[name] = self.values.makers.get(whole.tensor, "")
        return {"part": (name,)}

    def _saves(self, layer: Layer, row: Row) -> tuple[str, ...]:
        """What the row saves; codes narrower than 32 bits need their mask, floats their output."""
        if layer.weights and not layer.trained.weights and layer.name not in self._read_again:
            return ()
        if layer.op.saves_for_biases and not layer.trained.biases:
            return ()
        if not self.table.packs:
            return row.saves
        if "mask" not in row.saves:  # of a norm behind which nothing goes back only scale and shift learn
            ends = layer.name in self._ending and not row.remade
            return tuple(what for what in row.saves if not (ends and what == "statistics"))
        # The gradient of a trained step size needs the value before rounding.
        if layer.precision == "skip" and self.bits.skips_floats:
            kept = _reads_value(self.bits.activations, layer)
            return ("output",) if kept else ("mask",)  # kept for the quantizer behind it anyway
        quantizer = self.bits.quantizer_of(layer)
        reads_value = _reads_value(quantizer, layer)
        reads_codes = quantizer.reads_codes and layer.trained.levels
        if self.bits.activation_of(layer) == FLOAT_BITS:  # a float ReLU's output tells its mask
            return ("output",) if layer.name in self._kept_anyway else ("mask",)
        if reads_value or (reads_codes and layer.op.bounded):
            return ("input",)  # which tells mask and codes once more
        return ("mask", "output") if reads_codes else ("mask",)

    def _extras(self, layer: Layer, row: Row) -> dict[str, tuple[str, ...]]:
        """Tensors that exist only to be saved."""
        owner = self._owners[layer.name]
        shape, channels = (self.batch, *layer.shape), (layer.shape or (1,))[0]
        normalised = self.batch * layer.groups if layer.groups else channels
        sizes = {
            "mask": (shape, row.mask_bits),
            "sign": (shape, 1),
            "kept": (_drawn(layer, shape), 1),
            "noise": (_drawn(layer, shape), FLOAT_BITS),
            "argmax": (shape, self.table.argmax_bits(layer)),
            "statistics": ((row.statistics * normalised,), FLOAT_BITS),
            "total": ((1,), FLOAT_BITS),
            "similarities": ((self.batch, self.batch), FLOAT_BITS),
        }
        return {
            what: (self._declare(f"{layer.name}.{what}", *sizes[what], ACTIVATION, owner),)
            for what in self._saves(layer, row)
            if what in sizes
        }

    def _declare(self, name: str, shape: tuple[int, ...], bits: int, category: str, owner: str) -> str:
        return self.program.tensor(self.program.fresh(name), shape, bits, category, owner)


def _drawn(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """What a dropout draws: one number for each element, or for each channel of an image."""
    return shape[:2] if isinstance(layer.op, ChannelDropout) else shape
