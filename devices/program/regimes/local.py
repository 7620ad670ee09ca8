"""``local``: each block takes its step in turn, then hands on its output; all state is resident."""

from collections.abc import Iterator

from devices.network import Block, Layer, Network
from devices.program.regimes.ahead import behind_frozen, run_frozen
from devices.program.regimes.answer import ask
from devices.program.regimes.builder import Builder, Step
from devices.program.regimes.skipping import sometimes
from devices.program.schedule import Schedule


def local(network: Network, step: Step) -> Schedule:
    """Forward, head and backward of one block after the other."""
    return steps_of_blocks(Builder(network, step), fused=step.fused)


def steps_of_blocks(build: Builder, *, fused: bool) -> Schedule:
    """The same of a builder, whatever its arithmetic."""
    for block in build.network.blocks:
        build.train(block, head=block.learns)
    build.load()
    ask(build)
    for block, layers in learning_blocks(build):
        build.lowering.forward(layers)
        if fused and block is not build.last:
            build.lowering.hand_on(block.output)
        held = (block.layers[0].inputs[0], block.output)
        build.lowering.backward(layers, fused=fused, held=held)
    return sometimes(build.finish(), build)


def learning_blocks(build: Builder) -> Iterator[tuple[Block, tuple[Layer, ...]]]:
    """The blocks that learn, each with its layers behind those that run ahead; others run between them.

    Behind the last of them nothing runs: no loss depends on it.
    """
    blocks = build.network.blocks
    behind = set(behind_frozen(build, build.network.layers))
    for block in blocks[: blocks.index(build.last) + 1]:
        layers = tuple(layer for layer in block.layers if layer in behind)
        if block.learns:
            yield block, (*layers, *block.head)
        elif layers:
            run_frozen(build, layers)
