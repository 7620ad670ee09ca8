"""The parts that regimes share: a program, its lowering and the state of blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from devices.network import Block, Layer, Network
from devices.network.bits import Bits
from devices.network.precision import with_quantizers
from devices.network.trained import FROZEN
from devices.program.accountings import DEVICE, CostTable
from devices.program.distillation import Distillation, distilled
from devices.program.eager import EagerLowering
from devices.program.lower import Lowering
from devices.program.schedule import Program, Schedule
from devices.program.state import State

Tensors = dict[str, tuple[str, ...]]
"""Layer -> the names of its tensors."""

RAM, FLASH = "ram", "flash"
PLACES = (RAM, FLASH)
"""Where weights that are not trained may lie: packed in RAM, or in flash that is read in place."""


@dataclass(frozen=True)
class Step:
    """What a training step is made of, apart from its regime.

    ``micro_batch`` is how many images bp-micro passes at a time; ``limit_bytes`` is what bp-best has
    to stay within (None: as low as it gets), on a device that aligns tensors to ``alignment`` bytes.
    """

    batch: int = 1
    optimizer: str = "sgd-momentum"
    bits: Bits = field(default_factory=Bits)
    fused: bool = True  # each gradient is applied and freed in the backward pass
    table: CostTable = DEVICE
    micro_batch: int = 1
    limit_bytes: int | None = None
    alignment: int = 8
    twice: bool = False  # integer regimes compute sums twice instead of buffering them
    by_tensor: bool = False  # they do so only of those sums that would not fit ``limit_bytes``
    perturbations: int = 1  # random directions of a zeroth-order step
    backprop_blocks: int = 1  # so many last blocks of a hybrid one are trained by backpropagation
    frozen: str = RAM  # where that lies which is not trained
    jump_every: int = 1  # batches whose gradients are added up before states of weights jump
    distillation: Distillation | None = None  # how the last block teaches the local heads before it
    skip_heads: float = 0.0  # share of steps in which a block before the last one that learns does not


class Builder:
    """A program in the making."""

    alone = True  # whether an image's numbers hang on it alone, norms and levels apart

    def __init__(self, network: Network, step: Step, *, batch: int | None = None) -> None:
        """``batch`` images at a time stand for all of the step's, if it is given."""
        self.network, self.step = quantized(network, step), step
        self.program = Program()
        packs = step.table.packs
        self.state = State(self.program, step.bits, step.optimizer, steps=packs, counts=not packs)
        self.lowering = self.lower(step.batch if batch is None else batch)
        self._fixed: Tensors = {}

    @property
    def last(self) -> Block:
        """The last block that learns."""
        return [block for block in self.network.blocks if block.learns][-1]

    def lower(self, batch: int) -> Lowering:
        """A lowering of ``batch`` images, repeated until the step's batch has passed."""
        step = self.step
        kind = Lowering if step.table.packs else EagerLowering
        lowering = kind(self.program, self.network, step.table, step.bits, batch, images=step.batch)
        lowering.optimizer = step.optimizer
        return lowering

    def train(self, block: Block, *, head: bool, resident: bool = True, states: bool = True) -> Tensors:
        """Declare the latent state of a block (and its head) and return each layer's tensors.

        Without ``states`` the optimizer keeps nothing: see :meth:`begin_training`.
        """
        layers = (*block.layers, *(block.head if head else ()))
        self.fixed(block)
        return {
            layer.name: names
            for layer in layers
            if (names := self._declare(layer, resident=resident, states=states))
        }

    def _declare(self, layer: Layer, *, resident: bool, states: bool = True) -> tuple[str, ...]:
        owner = self.network.owners[layer.name]
        parameters = self.state.trainable(layer, owner, resident=resident, states=states)
        buffers = self.state.buffers(layer, owner, resident=resident)
        self.lowering.parameters[layer.name] = parameters
        fixed = self._fixed.get(layer.name, ())
        self.lowering.held[layer.name] = (*(p.latent for p in parameters), *buffers, *fixed)
        return (*(t for p in parameters for t in p.tensors), *buffers)

    def begin_training(self, block: Block) -> tuple[str, ...]:
        """Give a block that is resident without optimizer state its state and head; returns them."""
        parameters, names = self.lowering.parameters, []
        for layer in block.layers:
            parameters[layer.name] = tuple(self.state.with_states(p) for p in parameters[layer.name])
            names += [name for p in parameters[layer.name] for name in p.states]
        for layer in block.head:
            names += self._declare(layer, resident=False)
        return tuple(names)

    def train_all(self) -> tuple[Layer, ...]:
        """Declare the state of all blocks under the network's own loss; returns their layers."""
        *early, last = self.network.blocks
        for block in early:
            self.train(block, head=False)
        self.train(last, head=True)
        return (*self.network.layers, *last.head)

    def packed(self, block: Block, suffix: str) -> Tensors:
        """Declare the packed state of what is trained of a block and return each layer's tensors."""
        return {layer.name: self.state.packed(layer, block.name, suffix) for layer in block.layers}

    def fixed(self, block: Block) -> Tensors:
        """The tensors of what is not trained of a block, by layer; they are declared once."""
        mapped = self.step.frozen == FLASH
        for layer in block.layers:
            if layer.name not in self._fixed:
                self._fixed[layer.name] = self.state.frozen(layer, block.name, mapped=mapped)
        return {layer.name: self._fixed[layer.name] for layer in block.layers}

    def fix_all(self) -> None:
        """Declare all that is not trained; layers of which nothing is read it from now on."""
        for block in self.network.blocks:
            self.lowering.held.update(self.fixed(block))

    def read_ahead(self, block: Block) -> tuple[str, ...]:
        """Declare copies of what the head of ``block`` reads of layers of another; returns their names."""
        names: list[str] = []
        for layer in (x for x in block.head if x.weights_of):
            (source,) = (x for x in self.network.layers if x.name == layer.weights_of)
            parameters = self.state.trainable_ahead(source, self.network.owners[layer.name])
            self.lowering.held[source.name] = (*parameters, *self._fixed.get(source.name, ()))
            names += parameters
        return tuple(names)

    def read_copies(self, block: Block) -> Tensors:
        """Read from flash what a block computes by at rest, beside what is trained of it in its turn."""
        fixed = self.fixed(block)
        copies = {layer.name: self.state.copies(layer, block.name) for layer in block.layers}
        names = names_of([copies])
        if names:
            self.program.emit("page in", "page in", block.name, subject=block.name, writes=names)
        return {name: (*tensors, *fixed[name]) for name, tensors in copies.items()}

    def load(self) -> None:
        """Read a batch of images into RAM."""
        self.lowering.load(self.network.in_shape, self.network.blocks[0].name)

    def finish(self) -> Schedule:
        """Apply what waits, and check the program."""
        self.lowering.update()
        return self.program.finish()


def quantized(network: Network, step: Step) -> Network:
    """The network with the quantizers that the accounting has, see :func:`_settled`, and what teaches it."""
    if not step.table.packs:
        return network
    key = step.bits, step.distillation
    if key not in network.quantized:
        taught = network if step.distillation is None else distilled(network, step.distillation)
        network.quantized[key] = _with_quantizers(taught, step.bits)
    return network.quantized[key]


def _with_quantizers(network: Network, bits: Bits) -> Network:
    shapes, partial = network.shapes, network.is_partial
    blocks = []
    for block in network.blocks:
        layers = with_quantizers(block.layers, bits, shapes)
        if partial:
            layers = tuple(_settled(layer, bits) for layer in layers)
        blocks.append(Block(block.name, layers, block.head))
    return Network(network.in_shape, tuple(blocks), network.source)


def _settled(layer: Layer, bits: Bits) -> Layer:
    """The layer of a network trained in part: frozen where it has nothing that a step could change.

    A choice may name an activation whose levels are fixed. Nothing goes back to it for its own sake.
    """
    quantizer = bits.quantizer_of(layer)
    moves = layer.trained.levels and (quantizer.trained or quantizer.kept or layer.op.drops)
    follows = layer.trained.biases and (layer.buffers or layer.op.batch_statistics)
    return layer if layer.learns or moves or follows else replace(layer, trained=FROZEN)


def names_of(layers: Sequence[Tensors]) -> tuple[str, ...]:
    """The tensors of all layers."""
    return tuple(name for tensors in layers for names in tensors.values() for name in names)
