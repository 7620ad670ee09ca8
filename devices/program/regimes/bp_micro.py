"""``bp-micro``: ``bp-best`` on a few images at a time; their gradients are accumulated.

Every gradient is resident, for all micro-batches add to it. Batch norm takes its statistics from one
micro-batch: what is learnt is then no longer what ``bp`` learns. Group norm, frozen norms and none
give the gradients of ``bp``.
"""

from contextlib import nullcontext

from devices.network import Network
from devices.program.regimes.builder import Builder, Step
from devices.program.regimes.segment_costs import best_segments
from devices.program.regimes.segments import backpropagate
from devices.program.schedule import Schedule


def bp_micro(network: Network, step: Step) -> Schedule:
    """The operations of one micro-batch stand for those of all; a single one is ``bp-best``, fused."""
    batch = min(step.micro_batch, step.batch)
    build = Builder(network, step, batch=batch)
    layers, several = build.train_all(), batch < step.batch
    if several:
        build.lowering.accumulate(network.blocks[0].name)
    with build.program.loop(-(-step.batch // batch)) if several else nullcontext():
        build.load()
        segments = best_segments(network, layers, step, batch)
        backpropagate(build.lowering, segments, fused=not several)
    return build.finish()
