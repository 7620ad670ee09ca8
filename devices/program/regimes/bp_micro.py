"""``bp-micro``: ``bp-best`` on a few images at a time; their gradients are accumulated.

Every gradient is resident, for all micro-batches add to it. Batch norm takes its statistics from one
micro-batch: what is learnt is then no longer what ``bp`` learns. Group norm, frozen norms and none
give the gradients of ``bp``.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

from devices.network import Network
from devices.program.regimes.ahead import behind_frozen, without_frozen
from devices.program.regimes.builder import Builder, Step, quantized
from devices.program.regimes.segment_costs import best_segments
from devices.program.regimes.segments import Segment, backpropagate
from devices.program.schedule import Schedule


def bp_micro(network: Network, step: Step) -> Schedule:
    """The operations of one micro-batch stand for those of all; a single one is ``bp-best``, fused.

    What is left over of a batch is a smaller micro-batch, the last one, in the same buffers.
    """
    batch, known = min(step.micro_batch, step.batch), quantized(network, step)
    layers = without_frozen(known, (*known.layers, *known.blocks[-1].head))
    segments, rest = best_segments(network, layers, step, batch), step.batch % batch
    whole = _program(network, step, segments, batch)
    if not rest:
        return whole
    (loop,), fewer = whole.loops, _program(network, step, segments, rest).tensors
    left_over = {name: tensor for name, tensor in fewer.items() if tensor != whole.tensors[name]}
    return replace(whole, loops=(replace(loop, left_over=left_over),))


def _program(network: Network, step: Step, segments: Sequence[Segment], batch: int) -> Schedule:
    """With ``batch`` images in every pass."""
    build, several = Builder(network, step, batch=batch), batch < step.batch
    layers = build.train_all()
    if several:
        build.lowering.accumulate(network.blocks[0].name)
    with build.program.loop(-(-step.batch // batch), batch) if several else nullcontext():
        build.load()
        behind_frozen(build, layers, at_once=several)
        backpropagate(build.lowering, segments, fused=not several)
    return build.finish()
