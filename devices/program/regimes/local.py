"""``local``: each block takes its step in turn, then hands on its output; all state is resident."""

from devices.network import Network
from devices.program.regimes.builder import Builder, Step
from devices.program.schedule import Schedule


def local(network: Network, step: Step) -> Schedule:
    """Forward, head and backward of one block after the other."""
    return steps_of_blocks(Builder(network, step), fused=step.fused)


def steps_of_blocks(build: Builder, *, fused: bool) -> Schedule:
    """The same of a builder, whatever its arithmetic."""
    for block in build.network.blocks:
        build.train(block, head=True)
    build.load()
    for block in build.network.blocks:
        layers = (*block.layers, *block.head)
        build.lowering.forward(layers)
        if fused and block is not build.network.blocks[-1]:
            build.lowering.hand_on(block.output)
        held = (block.layers[0].inputs[0], block.output)
        build.lowering.backward(layers, fused=fused, held=held)
    return build.finish()
