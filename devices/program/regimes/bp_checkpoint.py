"""``bp-checkpoint``: only block inputs are kept; each block is recomputed before its backward pass."""

from devices.network import Network
from devices.program.regimes.builder import Builder, Step
from devices.program.regimes.segments import Segment, backpropagate
from devices.program.schedule import Schedule


def bp_checkpoint(network: Network, step: Step) -> Schedule:
    """One segment per block; the last one goes back at once."""
    build = Builder(network, step)
    build.train_all()
    build.load()
    *early, last = build.network.blocks
    segments = [Segment(block.layers, recompute=True) for block in early]
    segments.append(Segment((*last.layers, *last.head), recompute=False))
    backpropagate(build.lowering, segments, fused=step.fused)
    return build.finish()
