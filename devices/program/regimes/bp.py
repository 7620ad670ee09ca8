"""``bp``: global backpropagation. Every activation is kept, every gradient waits for the end."""

from devices.network import Network
from devices.program.regimes.ahead import behind_frozen
from devices.program.regimes.builder import Builder, Step
from devices.program.regimes.segments import Segment, backpropagate
from devices.program.schedule import Schedule


def bp(network: Network, step: Step) -> Schedule:
    """One segment, kept. With a fused update each gradient is applied and freed in the backward pass."""
    build = Builder(network, step)
    layers = build.train_all()
    build.load()
    layers = behind_frozen(build, layers)
    backpropagate(build.lowering, [Segment(layers, recompute=False)], fused=step.fused)
    return build.finish()
