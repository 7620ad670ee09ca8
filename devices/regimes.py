"""The training step of each regime as a program: what runs in which order, what is resident when.

``bp``              global backpropagation: every activation is kept, every gradient waits
``bp-checkpoint``   only block inputs are kept; each block is recomputed before its backward pass
``local``           each block takes its step in turn, then hands on its output; all state resident
``local-resident``  one block is trained at a time; all others are packed. The program shows one
                    step of every block, with the change from one block to the next between them
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from devices.costs import DEVICE, CostTable
from devices.errors import unknown_name
from devices.lower import Lowering, with_quantizers
from devices.network import Block, Network
from devices.schedule import ACTIVATION, Program, Schedule
from devices.state import Bits, State


class Describable(Protocol):
    """Anything that can tell its layers: the models of blockwise do."""

    def describe(self, *, blocks: str, head: str, step: "Step | None" = None) -> Network:
        """The network cut into ``blocks`` (balanced for ``step``), each with its local ``head``."""
        ...


@dataclass(frozen=True)
class Step:
    """What a training step is made of, apart from its regime."""

    batch: int = 1
    optimizer: str = "sgd-momentum"
    bits: Bits = field(default_factory=Bits)
    fused: bool = True  # each gradient is applied and freed in the backward pass
    table: CostTable = DEVICE


class _Builder:
    """The parts that regimes share: a program, its lowering and the state of blocks."""

    def __init__(self, network: Network, step: Step) -> None:
        self.network, self.step = _quantized(network, step), step
        self.program = Program()
        self.state = State(self.program, step.bits, step.optimizer, steps=step.table.packs)
        self.lowering = self.lower(step.batch)

    def lower(self, batch: int) -> Lowering:
        return Lowering(self.program, self.network, self.step.table, self.step.bits, batch)

    def train(self, block: Block, *, head: bool, resident: bool = True) -> dict[str, tuple[str, ...]]:
        """Declare the latent state of a block (and its head) and return each layer's tensors."""
        owners, tensors = self.network.owners, {}
        for layer in (*block.layers, *(block.head if head else ())):
            owner = owners[layer.name]
            parameters = self.state.trainable(layer, owner, resident=resident)
            buffers = self.state.buffers(layer, owner, resident=resident)
            self.lowering.parameters[layer.name] = parameters
            self.lowering.held[layer.name] = (*(p.latent for p in parameters), *buffers)
            if names := (*(t for p in parameters for t in p.tensors), *buffers):
                tensors[layer.name] = names
        return tensors

    def packed(self, block: Block, suffix: str) -> dict[str, tuple[str, ...]]:
        """Declare the packed state of a block and return each layer's tensors."""
        return {layer.name: self.state.packed(layer, block.name, suffix) for layer in block.layers}

    def load(self) -> None:
        self.lowering.load(self.network.in_shape, self.network.blocks[0].name)

    def finish(self) -> Schedule:
        self.lowering.update()
        return self.program.finish()


def _quantized(network: Network, step: Step) -> Network:
    if not step.table.packs:
        return network
    blocks = (
        Block(block.name, with_quantizers(block.layers, step.bits), block.head) for block in network.blocks
    )
    return Network(network.in_shape, tuple(blocks), network.source)


def _bp(network: Network, step: Step) -> Schedule:
    build = _Builder(network, step)
    blocks = build.network.blocks
    for block in blocks:
        build.train(block, head=block is blocks[-1])
    layers = (*build.network.layers, *blocks[-1].head)
    build.load()
    build.lowering.forward(layers)
    build.lowering.backward(layers, fused=step.fused)
    return build.finish()


def _bp_checkpoint(network: Network, step: Step) -> Schedule:
    build = _Builder(network, step)
    *early, last = build.network.blocks
    for block in early:
        build.train(block, head=False)
    build.train(last, head=True)
    build.load()
    for block in early:
        build.lowering.forward(block.layers, keep=False)
    ends = [block.output for block in early]
    layers = (*last.layers, *last.head)
    build.lowering.forward(layers)
    build.lowering.backward(layers, fused=step.fused, until=ends[-1:])
    for i in reversed(range(len(early))):
        build.lowering.forward(early[i].layers, phase="recompute")
        build.lowering.backward(early[i].layers, fused=step.fused, until=ends[i - 1 : i] if i else ())
    return build.finish()


def _local(network: Network, step: Step) -> Schedule:
    build = _Builder(network, step)
    for block in build.network.blocks:
        build.train(block, head=True)
    build.load()
    for block in build.network.blocks:
        layers = (*block.layers, *block.head)
        build.lowering.forward(layers)
        build.lowering.backward(layers, fused=step.fused)
    return build.finish()


def _local_resident(network: Network, step: Step) -> Schedule:
    build = _Builder(network, step)
    blocks = build.network.blocks
    before = [build.packed(block, "before") for block in blocks]
    after: list[dict[str, tuple[str, ...]]] = []
    everything = _tensors(*before)
    build.program.emit("deployed network", "pack", blocks[0].name, writes=everything)
    for index in range(len(blocks)):
        after.append(_train_resident(build, index, before[index], after))
    build.program.emit("deployed network", "pack", blocks[-1].name, reads=_tensors(*after))
    return build.finish()


def _train_resident(
    build: _Builder, index: int, before: dict[str, tuple[str, ...]], trained: list[dict[str, tuple[str, ...]]]
) -> dict[str, tuple[str, ...]]:
    """Unpack block ``index``, train it for one step behind the packed blocks, pack it again."""
    block, emit = build.network.blocks[index], build.program.emit
    latent = build.train(block, head=True, resident=False)
    for name, tensors in latent.items():  # one layer at a time: its codes make room for the next
        emit(f"{name} unpack", "pack", block.name, reads=before.get(name, ()), writes=tensors)
    build.lowering.load(build.network.in_shape, block.name)
    if index:
        _run_packed(build, index, trained)
    layers = (*block.layers, *block.head)
    build.lowering.forward(layers)
    build.lowering.backward(layers, fused=build.step.fused)
    build.lowering.update()
    after = build.packed(block, "after")
    for name, tensors in latent.items():
        emit(f"{name} pack", "pack", block.name, reads=tensors, writes=after.get(name, ()))
    return after


def _run_packed(build: _Builder, index: int, trained: list[dict[str, tuple[str, ...]]]) -> None:
    """Run the trained blocks one sample at a time; their outputs fill the batch of inputs.

    The operations of one sample stand for those of all; the multiply-accumulates are the batch's.
    """
    blocks, owner, program = build.network.blocks, build.network.blocks[index].name, build.program
    output = blocks[index - 1].output
    shape = (build.step.batch, *blocks[index - 1].layers[-1].shape)
    one = build.lower(1)
    source = build.network.source
    one.values[source] = build.lowering.values[source]
    name = program.fresh(f"{owner}.inputs")
    bits = build.step.bits.activation_of(blocks[index - 1].layers[-1])
    inputs = program.tensor(name, shape, bits, ACTIVATION, owner)
    program.emit(f"{owner} gather inputs", "load", owner, writes=(inputs,))
    for block, packed in zip(blocks[:index], trained, strict=True):
        one.held.update(packed)
        one.forward(block.layers, keep=False, repeat=build.step.batch)
    program.emit(f"{owner} store input", "load", owner, reads=one.values[output], writes=(inputs,))
    build.lowering.values[output] = (inputs,)


def _tensors(*layers: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(name for packed in layers for names in packed.values() for name in names)


REGIMES: dict[str, Callable[[Network, Step], Schedule]] = {
    "bp": _bp,
    "bp-checkpoint": _bp_checkpoint,
    "local": _local,
    "local-resident": _local_resident,
}
DEFAULT_UPDATE: dict[str, str] = {
    "bp": "end",
    "bp-checkpoint": "fused",
    "local": "fused",
    "local-resident": "fused",
}
"""When gradients are applied unless the user says otherwise."""


def schedule(regime: str, network: Network, step: Step) -> Schedule:
    """One training step of ``network`` under ``regime``. Raises InputError for an unknown regime."""
    if regime not in REGIMES:
        raise unknown_name("regime", regime, REGIMES)
    return REGIMES[regime](network, step)
