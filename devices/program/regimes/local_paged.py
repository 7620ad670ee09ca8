"""``local-paged``: every block steps on every batch, its state paged between RAM and flash.

RAM holds the latent weights, optimizer state, norm buffers and head of one block; those of all
others are in flash. Each step reads all of them once, and writes all of them once, also of a block that skips
a step: the flash is a ring, in which what lies stays behind.
"""

from devices.network import Network
from devices.program.regimes.answer import ask_paged
from devices.program.regimes.builder import Builder, Step
from devices.program.regimes.local import learning_blocks
from devices.program.regimes.skipping import sometimes
from devices.program.schedule import Schedule


def local_paged(network: Network, step: Step) -> Schedule:
    """As ``local``, with each block paged in before its turn and paged out after it."""
    build = Builder(network, step)
    build.fix_all()
    build.load()
    ask_paged(build)
    for block, layers in learning_blocks(build):
        tensors = build.train(block, head=True, resident=False)
        names = tuple(name for layer in tensors.values() for name in layer)
        ahead = build.read_ahead(block)
        build.program.emit("page in", "page in", block.name, subject=block.name, writes=(*names, *ahead))
        build.lowering.forward(layers)
        if block is not build.last:
            build.lowering.hand_on(block.output)
        held = (block.layers[0].inputs[0], block.output)
        build.lowering.backward(layers, fused=step.fused, held=held)
        build.lowering.update()
        build.lowering.leave()
        build.program.emit("page out", "page out", block.name, subject=block.name, reads=names)
    return sometimes(build.finish(), build)
