"""``local-resident``: one block at a time is trained to completion; all others are packed.

The program shows one step of every block. The codes of blocks that are not yet trained keep their
place, as on a board that adapts a deployed network. In float32 there is nothing to pack: all weights
stay where they are, and only optimizer state and head belong to the block in training.
"""

from devices.network import Layer, Network
from devices.program.accountings import FLOAT_BITS
from devices.program.regimes.ahead import one_by_one, without_frozen
from devices.program.regimes.builder import Builder, Step, Tensors, names_of
from devices.program.schedule import Schedule
from devices.program.state import FROZEN


def local_resident(network: Network, step: Step) -> Schedule:
    """One step of every block that learns, with the change from one block to the next between them."""
    build = Builder(network, step)
    if not step.table.packs or step.bits.weight == FLOAT_BITS:
        return _in_float(build)
    build.fix_all()
    blocks = build.network.blocks
    before = [build.packed(block, "before") for block in blocks]
    after: list[Tensors] = []
    everything = names_of(before)
    build.program.emit("deployed network", "pack", blocks[0].name, writes=everything)
    for index, block in enumerate(blocks):
        if block.learns:
            ahead = before[index + 1] if index + 1 < len(blocks) else {}
            after.append(_train_resident(build, index, before[index], after, ahead))
        else:
            after.append(before[index])
    build.program.emit("deployed network", "pack", blocks[-1].name, reads=names_of(after))
    return build.finish()


def _train_resident(
    build: Builder, index: int, before: Tensors, trained: list[Tensors], ahead: Tensors
) -> Tensors:
    """Unpack block ``index``, train it for one step behind the packed blocks, pack it again.

    ``ahead`` is the next block, packed, of which its head may read.
    """
    block, emit = build.network.blocks[index], build.program.emit
    latent = build.train(block, head=True, resident=False)
    for layer in (x for x in block.head if x.weights_of):  # of the next block, which is packed
        fixed = build.lowering.held.get(layer.weights_of, ())
        build.lowering.held[layer.weights_of] = (*ahead.get(layer.weights_of, ()), *fixed)
    steps = {layer.name: _constants(build, layer) for layer in block.layers}
    for name, tensors in latent.items():  # one layer at a time: its codes make room for the next
        reads = (*before.get(name, ()), *steps.get(name, ()))
        emit("unpack", "pack", block.name, layer=name, reads=reads, writes=tensors)
    build.lowering.load(build.network.in_shape, block.name)
    layers = _run_packed(build, index, trained)
    build.lowering.forward(layers)
    held = (block.layers[0].inputs[0], block.output)
    build.lowering.backward(layers, fused=build.step.fused, held=held)
    build.lowering.update()
    after = build.packed(block, "after")
    for name, tensors in latent.items():
        reads = (*tensors, *steps.get(name, ()))
        emit("pack", "pack", block.name, layer=name, reads=reads, writes=after.get(name, ()))
    return after


def _constants(build: Builder, layer: Layer) -> tuple[str, ...]:
    """By what weights are coded whose quantizer is not trained."""
    fixed = build.fixed(next(b for b in build.network.blocks if layer in b.layers))[layer.name]
    return tuple(name for name in fixed if layer.trained_weights and name.endswith(f".step.{FROZEN}"))


def _run_packed(build: Builder, index: int, packed: list[Tensors]) -> tuple[Layer, ...]:
    """Run the blocks before, and what is frozen at the start of this one; returns its layers behind."""
    block = build.network.blocks[index]
    behind = without_frozen(build.network, (*block.layers, *block.head))
    runs = [before.layers for before in build.network.blocks[:index]]
    ahead = block.layers[: len(block.layers) + len(block.head) - len(behind)]
    if runs or ahead:
        fixed = {name: tensors for b in build.network.blocks for name, tensors in build.fixed(b).items()}
        held = {name: (*tensors, *fixed[name]) for found in packed for name, tensors in found.items()}
        one_by_one(build, [*runs, *([ahead] if ahead else [])], held, block.name)
    return behind


def _in_float(build: Builder) -> Schedule:
    """The weights of all blocks are resident, without optimizer state but that of one block."""
    lowering, blocks, packs = build.lowering, build.network.blocks, build.step.table.packs
    for block in blocks:
        build.train(block, head=False, states=False)
    if not packs:
        build.load()
    for index, block in enumerate(blocks):
        if not block.learns:
            continue
        lowering.next_step()
        if not packs:
            for finished in blocks[:index]:
                lowering.forward(finished.layers, keep=False, training=False)
        names = build.begin_training(block)
        build.program.emit("begins", "load", block.name, subject=block.name, writes=names)
        if packs:  # the state of a block outlives each of its steps, of which finished blocks are a part
            lowering.load(build.network.in_shape, block.name)
        layers = _run_packed(build, index, []) if packs else (*block.layers, *block.head)
        lowering.forward(layers)
        held = (block.layers[0].inputs[0], block.output)
        lowering.backward(layers, fused=build.step.fused, held=held)
        lowering.update()
        build.program.emit("ends", "load", block.name, subject=block.name, reads=names)
    return build.finish()
