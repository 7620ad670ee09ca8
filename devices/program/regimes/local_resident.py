"""``local-resident``: one block at a time is trained to completion; all others are packed.

The program shows one step of every block. The codes of blocks that are not yet trained keep their
place, as on a board that adapts a deployed network. In float32 there is nothing to pack: all weights
stay where they are, and only optimizer state and head belong to the block in training.
"""

from devices.network import Network
from devices.program.accountings import FLOAT_BITS
from devices.program.operation import Stored
from devices.program.regimes.builder import Builder, Step, Tensors, names_of
from devices.program.schedule import ACTIVATION, Schedule
from devices.program.values import levels_of, maker_of


def local_resident(network: Network, step: Step) -> Schedule:
    """One step of every block, with the change from one block to the next between them."""
    build = Builder(network, step)
    if not step.table.packs or step.bits.weight == FLOAT_BITS:
        return _in_float(build)
    blocks = build.network.blocks
    before = [build.packed(block, "before") for block in blocks]
    after: list[Tensors] = []
    everything = names_of(before)
    build.program.emit("deployed network", "pack", blocks[0].name, writes=everything)
    for index in range(len(blocks)):
        after.append(_train_resident(build, index, before[index], after))
    build.program.emit("deployed network", "pack", blocks[-1].name, reads=names_of(after))
    return build.finish()


def _train_resident(build: Builder, index: int, before: Tensors, trained: list[Tensors]) -> Tensors:
    """Unpack block ``index``, train it for one step behind the packed blocks, pack it again."""
    block, emit = build.network.blocks[index], build.program.emit
    latent = build.train(block, head=True, resident=False)
    for name, tensors in latent.items():  # one layer at a time: its codes make room for the next
        emit("unpack", "pack", block.name, layer=name, reads=before.get(name, ()), writes=tensors)
    build.lowering.load(build.network.in_shape, block.name)
    if index:
        _run_packed(build, index, trained)
    layers = (*block.layers, *block.head)
    build.lowering.forward(layers)
    held = (block.layers[0].inputs[0], block.output)
    build.lowering.backward(layers, fused=build.step.fused, held=held)
    build.lowering.update()
    after = build.packed(block, "after")
    for name, tensors in latent.items():
        emit("pack", "pack", block.name, layer=name, reads=tensors, writes=after.get(name, ()))
    return after


def _run_packed(build: Builder, index: int, trained: list[Tensors]) -> None:
    """Run the trained blocks one sample at a time; their outputs fill the batch of inputs.

    The operations of one sample stand for those of all; the multiply-accumulates are the batch's.
    """
    blocks, owner, program = build.network.blocks, build.network.blocks[index].name, build.program
    output = blocks[index - 1].output
    shape = (build.step.batch, *blocks[index - 1].layers[-1].shape)
    one = build.lower(1)
    source = build.network.source
    one.values.take_over(build.lowering.values, source)
    name = program.fresh(f"{owner}.inputs")
    side_by_side = len(_code_makers(build, output)) > 1  # codes of several quantizers are held as floats
    floats = blocks[index].layers[0].reads in ("floats", "signed") or side_by_side
    bits = FLOAT_BITS if floats else build.step.bits.activation_of(blocks[index - 1].layers[-1])
    inputs = program.tensor(name, shape, bits, ACTIVATION, owner)
    program.emit("gather inputs", "load", owner, subject=owner, writes=(inputs,))
    with program.loop(build.step.batch):
        for block, packed in zip(blocks[:index], trained, strict=True):
            one.held.update(packed)
            one.forward(block.layers, keep=False, training=False)
        (made,) = one.values.of([output])
        program.emit(
            "store input", "load", owner, subject=owner, operands=(("input", made),),
            results=(("inputs", inputs),),
        )  # fmt: skip
    build.lowering.values.outputs[output] = Stored(inputs)
    build.lowering.values.levels[inputs] = () if side_by_side else levels_of(made)
    build.lowering.values.makers[inputs] = "" if side_by_side else maker_of(made)


def _code_makers(build: Builder, name: str) -> set[str]:
    """The layers whose outputs stand side by side in that of the layer ``name``."""
    layer = build.program.layers.get(name)
    if layer is None or not layer.op.passes_codes:
        return {name}
    return {maker for source in layer.inputs for maker in _code_makers(build, source)}


def _in_float(build: Builder) -> Schedule:
    """The weights of all blocks are resident, without optimizer state but that of one block."""
    lowering, blocks, packs = build.lowering, build.network.blocks, build.step.table.packs
    weights = [build.train(block, head=False, states=False) for block in blocks]
    if not packs:
        build.load()
    for index, block in enumerate(blocks):
        lowering.next_step()
        if not packs:
            _run_finished(build, index, weights)
        names = build.begin_training(block)
        build.program.emit("begins", "load", block.name, subject=block.name, writes=names)
        if packs:  # the state of a block outlives each of its steps, of which finished blocks are a part
            lowering.load(build.network.in_shape, block.name)
            _run_finished(build, index, weights)
        layers = (*block.layers, *block.head)
        lowering.forward(layers)
        held = (block.layers[0].inputs[0], block.output)
        lowering.backward(layers, fused=build.step.fused, held=held)
        lowering.update()
        build.program.emit("ends", "load", block.name, subject=block.name, reads=names)
    return build.finish()


def _run_finished(build: Builder, index: int, weights: list[Tensors]) -> None:
    """One sample at a time on a device; PyTorch passes the whole batch."""
    if build.step.table.packs:
        if index:
            _run_packed(build, index, weights[:index])
        return
    for block in build.network.blocks[:index]:
        build.lowering.forward(block.layers, keep=False, training=False)
