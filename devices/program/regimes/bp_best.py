"""``bp-best``: the best-engineered backpropagation whose result is that of ``bp``.

The set of segments that are recomputed is chosen (:mod:`devices.program.regimes.recompute`): the fewest
multiply-accumulates within a byte limit or, where the limit cannot be met or there is none, the
lowest peak.
"""

from devices.network import Network
from devices.program.regimes.ahead import behind_frozen
from devices.program.regimes.builder import Builder, Step
from devices.program.regimes.segment_costs import best_segments
from devices.program.regimes.segments import backpropagate
from devices.program.schedule import Schedule


def bp_best(network: Network, step: Step) -> Schedule:
    """The chosen segments of one pass over the whole batch."""
    build = Builder(network, step)
    layers = build.train_all()
    build.load()
    layers = behind_frozen(build, layers)
    backpropagate(build.lowering, best_segments(network, layers, step, step.batch), fused=step.fused)
    return build.finish()
