"""``bp-checkpoint``: only block inputs are kept; each block is recomputed before its backward pass."""

from devices.network import Network
from devices.program.regimes.ahead import behind_frozen
from devices.program.regimes.builder import Builder, Step
from devices.program.regimes.segments import Segment, backpropagate
from devices.program.schedule import Schedule


def bp_checkpoint(network: Network, step: Step) -> Schedule:
    """One segment per block; the last one goes back at once."""
    build = Builder(network, step)
    layers = build.train_all()
    build.load()
    behind = set(behind_frozen(build, layers))
    *early, last = build.network.blocks
    parts = [tuple(x for x in block.layers if x in behind) for block in early]
    segments = [Segment(part, recompute=True) for part in parts if part]
    segments.append(Segment(tuple(x for x in (*last.layers, *last.head) if x in behind), recompute=False))
    backpropagate(build.lowering, segments, fused=step.fused)
    return build.finish()
