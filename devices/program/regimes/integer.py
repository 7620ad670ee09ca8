"""Training on integers alone: ``niti`` in 8 bits and two forms of 4, global and local; ``nitro-local``."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from devices.network import Block, Layer, Network
from devices.program import categories as cat
from devices.program.integer import (
    COUNT,
    GENERATOR_BITS,
    SEED,
    SUM_BITS,
    IntegerForm,
    IntegerLowering,
    IntegerState,
    integer_network,
    is_buffer_of_sums,
    waiting_of,
)
from devices.program.ledger import Ledger
from devices.program.regimes.ahead import behind_frozen, without_frozen
from devices.program.regimes.builder import Builder, Step, Tensors
from devices.program.regimes.local import steps_of_blocks
from devices.program.regimes.zeroth_order import front_of, perturbed
from devices.program.schedule import Program, Schedule

Twice = bool | frozenset[str]
"""Which sums are made twice: all, none, or the buffers of these names."""


class IntegerBuilder(Builder):
    """A program of integer layers. Optimizer, cost table and bits of ``step`` are the form's."""

    lowering: IntegerLowering
    alone = False  # a batch shares its exponents, unless each image has its own
    draws_heads = False  # whether heads are drawn in their blocks' turns

    def __init__(
        self, network: Network, step: Step, form: IntegerForm, twice: Twice, *, in_turn: bool = False
    ) -> None:
        """``twice`` are the sums that are made twice: all, none, or some; ``in_turn``: a block at a time."""
        self.network = integer_network(network)
        self.form, self.twice = form, twice
        self.step = replace(step, optimizer="sgd", table=form.table, bits=form.bits)
        self.program = Program()
        self.state = IntegerState(self.program, form.bits, "sgd", steps=False)
        self.state.draws = form.draws
        self.lowering = self.lower(step.batch)
        self._fixed, self.in_turn = {}, in_turn
        self.counts = any(map(self._waits, self.network.layers))
        if self.counts:
            owner = self.network.blocks[0].name
            self.program.tensor(COUNT, (1,), SUM_BITS, cat.OPTIMIZER_STATE, owner, resident=True)

    def train(self, block: Block, *, head: bool, resident: bool = True, states: bool = True) -> Tensors:
        """As elsewhere; where all blocks learn at once, the gradients of all may wait."""
        found = super().train(block, head=head, resident=resident, states=states)
        if not self.in_turn:
            self.wait(block, resident=True)
        return found

    def wait(self, block: Block, *, resident: bool) -> tuple[str, ...]:
        """Declare where the gradients of a block's states are added up; returns the names."""
        layers = [layer for layer in block.layers if self._waits(layer)]
        self.lowering.waits |= {layer.name for layer in layers}
        declare, category = self.program.tensor, cat.WEIGHT_GRADIENTS
        return tuple(
            declare(
                waiting_of(x.name), (x.trained_weights,), SUM_BITS, category, block.name, resident=resident
            )
            for x in layers
        )

    def _waits(self, layer: Layer) -> bool:
        """Whether its weights are states, which jump once in several batches."""
        several = self.form.draws and self.step.jump_every > 1
        return several and layer.precision == "inner" and layer.trained_weights > 0

    def count_batch(self) -> None:
        """At the end of a step."""
        if self.counts:
            self.lowering.count_batch(self.last.name)

    def begin_head(self, block: Block) -> tuple[str, ...]:
        """Declare the head that a block has in its turn, and once of what it is drawn; returns its names."""
        names = tuple(name for layer in block.head for name in self._declare(layer, resident=False))
        if names and not self.draws_heads:
            owner, self.draws_heads = self.network.blocks[0].name, True
            self.program.tensor(SEED, (1,), GENERATOR_BITS, cat.OPTIMIZER_STATE, owner, resident=True)
        return names

    def finish(self) -> Schedule:
        """Count the batch, if that is not done."""
        if not self.in_turn:
            self.count_batch()
        return super().finish()

    def lower(self, batch: int) -> IntegerLowering:
        """A lowering of ``batch`` images, repeated until the step's batch has passed."""
        step = self.step
        lowering = IntegerLowering(
            self.program, self.network, step.table, step.bits, batch, images=step.batch
        )
        lowering.gradient_bits = self.form.error_bits
        lowering.scaled = self.form.scaled
        lowering.twice, lowering.jump_every = self.twice, step.jump_every
        return lowering


def integer_bp(network: Network, step: Step, form: IntegerForm) -> Schedule:
    """Forward through all blocks and back; each layer's weights take their step on the way."""

    def made(twice: Twice) -> Schedule:
        build = IntegerBuilder(network, step, form, twice)
        layers = build.train_all()
        build.load()
        layers = behind_frozen(build, layers)
        build.lowering.forward(layers)
        build.lowering.backward(layers, fused=True)
        return build.finish()

    return _by_choice(made, step, form)


def integer_local(network: Network, step: Step, form: IntegerForm) -> Schedule:
    """Forward, head and backward of one block after the other; all weights are resident."""
    return _by_choice(
        lambda twice: steps_of_blocks(IntegerBuilder(network, step, form, twice), fused=True), step, form
    )


def integer_resident(network: Network, step: Step, form: IntegerForm) -> Schedule:
    """One block at a time is trained to the end, behind those that are finished.

    Weights have no form but that in which they are deployed: those of all blocks are resident, and none is
    packed. What belongs to the block in training are its head and, where they wait for those of further
    batches, the gradients of its states.
    """
    return _by_choice(
        lambda twice: _blocks_in_turn(IntegerBuilder(network, step, form, twice, in_turn=True)), step, form
    )


def _blocks_in_turn(build: IntegerBuilder) -> Schedule:
    """A step of every block that learns, with its own images."""
    finished: list[Layer] = []
    for block in build.network.blocks:
        build.train(block, head=False)
    for block in build.network.blocks:
        if block.learns:
            _step_of(build, block, finished)
        finished += block.layers
    return build.finish()


def _step_of(build: IntegerBuilder, block: Block, finished: Sequence[Layer]) -> None:
    """Behind the finished layers, and frozen ones at the start of the block."""
    emit, head = build.program.emit, build.begin_head(block)
    own = (*head, *build.wait(block, resident=False), *((COUNT,) if build.counts else ()))
    if own:
        seed = (SEED,) if head else ()
        emit("begins", "load", block.name, subject=block.name, reads=seed, writes=own)
    build.lowering.load(build.network.in_shape, block.name)
    layers = without_frozen(build.network, (*block.layers, *block.head))
    ahead = block.layers[: len(block.layers) + len(block.head) - len(layers)]
    if finished or ahead:
        build.lowering.forward((*finished, *ahead), keep=False, training=False)
    build.lowering.forward(layers)
    build.lowering.backward(layers, fused=True, held=(block.layers[0].inputs[0], block.output))
    build.count_batch()
    if own:
        emit("ends", "load", block.name, subject=block.name, reads=own)


def integer_zeroth_order(network: Network, step: Step, form: IntegerForm, *, hybrid: bool) -> Schedule:
    """Two forward passes for each direction; of a hybrid the last one goes back through the last blocks."""
    front = front_of(network, step.backprop_blocks if hybrid else 0)
    if not front:
        return integer_bp(network, step, form)

    def made(twice: Twice) -> Schedule:
        build = IntegerBuilder(network, step, form, twice)
        build.alone = not hybrid
        return perturbed(build, front, fused=True)

    return _by_choice(made, step, form)


def _by_choice(made: Callable[[Twice], Schedule], step: Step, form: IntegerForm) -> Schedule:
    """As the step says: all sums buffered, all made twice, or the least work within the limit.

    A buffer of sums lives for two operations, those that make and read it, and only there would its sums'
    being made twice lower anything. So the sums to make twice are those beside which the limit is passed: no
    choice of others helps, and each of them is needed. Where even so the limit cannot be met, or there is
    none, the limit is the lowest peak that there is.
    """
    if not step.by_tensor or form.scaled:
        return made(step.twice)
    found = made(False) if step.limit_bytes is None else _within(made, step, step.limit_bytes)
    if step.limit_bytes is None or Ledger(found, step.alignment).peak_bytes > step.limit_bytes:
        lowest = Ledger(made(True), step.alignment).peak_bytes
        found = _within(made, step, min(lowest, Ledger(found, step.alignment).peak_bytes))
    return found


def _within(made: Callable[[Twice], Schedule], step: Step, limit: int) -> Schedule:
    """The schedule in which the sums beside which the limit would be passed are made twice."""
    twice: frozenset[str] = frozenset()
    while True:
        found = made(twice)
        live = Ledger(found, step.alignment).live_bytes
        over = {name for name, (i, j) in found.lifetimes.items() if max(live[i : j + 1]) > limit}
        more = {name.partition("#")[0] for name in over if is_buffer_of_sums(found.tensors[name])}
        if not more:
            return found
        twice |= more
