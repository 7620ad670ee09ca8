"""``local-resident``: one block at a time is trained to completion; all others are packed.

The program shows one step of every block. The codes of blocks that are not yet trained keep their
place, as on a board that adapts a deployed network. In float32 there is nothing to pack: all weights
stay where they are, and only optimizer state and head belong to the block in training.
"""

from devices.network import Network
from devices.program.accountings import FLOAT_BITS
from devices.program.lower import Lowering
from devices.program.regimes.builder import Builder, Step, Tensors, names_of
from devices.program.regimes.gather import gather
from devices.program.schedule import Schedule


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
    """Run the trained blocks one image at a time, as they are deployed."""

    def run(one: Lowering) -> None:
        for block, packed in zip(build.network.blocks[:index], trained, strict=True):
            one.held.update(packed)
            one.forward(block.layers, keep=False, training=False)

    gather(build, index, run)


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
