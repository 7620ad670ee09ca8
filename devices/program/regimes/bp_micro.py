"""``bp-micro``: ``bp-best`` on a few images at a time; their gradients are accumulated.

Every gradient is resident, for all micro-batches add to it. Batch norm takes its statistics from one
micro-batch: what is learnt is then no longer what ``bp`` learns. Group norm, frozen norms and none
give the gradients of ``bp``.
"""

from dataclasses import replace

from devices.network import Network
from devices.program.regimes.bp_best import bp_best
from devices.program.regimes.builder import Builder, Step
from devices.program.regimes.recompute import best_segments
from devices.program.regimes.segments import backpropagate
from devices.program.schedule import Schedule


def bp_micro(network: Network, step: Step) -> Schedule:
    """The operations of one micro-batch stand for those of all; a single one is ``bp-best``."""
    batch = step.micro_batch
    if batch >= step.batch:
        return bp_best(network, replace(step, fused=True))  # nothing to accumulate
    build = Builder(network, step, batch=batch)
    layers = build.train_all()
    build.lowering.accumulate(network.blocks[0].name)
    with build.program.loop(-(-step.batch // batch)):
        build.load()
        backpropagate(build, best_segments(network, layers, step, batch), fused=False)
    return build.finish()
