"""What rules a training step out before it is begun, whatever the board: the one place that decides.

Refusals, rows that are only listed, rows at other batch sizes and the candidates of a search all ask
:func:`obstacle`. In float it is layers that compare images where one is alone, or where they are at rest; on
integers also norms, residual sums, windows, classes, and sums of products that do not fit 32 bits. What is
asked of blocks that learn together needs such a regime.
"""

from devices.network import Layer, Network
from devices.program.distillation import Distillation
from devices.program.regimes import Regime, find
from devices.trainability.hybrids import nothing_behind
from devices.trainability.images import one_alone
from devices.trainability.integers import integer_obstacle
from devices.trainability.outcome import Obstacle
from devices.trainability.rest import without_statistics
from devices.trainability.together import apart

__all__ = ["Obstacle", "obstacle"]


def obstacle(
    network: Network, regime: str, batch: int, micro_batch: int = 1, backprop_blocks: int = 1,
    jump_every: int = 1, distillation: Distillation | None = None, skip_heads: float = 0.0,
) -> Obstacle | None:  # fmt: skip
    """Why ``regime`` cannot train ``network`` on ``batch`` images a step; None if it can.

    Local heads count only in regimes that train them, as do ``distillation`` and ``skip_heads``,
    ``micro_batch`` only in bp-micro, ``backprop_blocks`` only in hybrids of zeroth order, and ``jump_every``
    only where weights jump.
    """
    found = find(regime)
    alone = apart(network, found, distillation, skip_heads)
    if alone is not None:
        return alone
    layers = _trained_layers(network, found)
    if found.form:
        return integer_obstacle(network, layers, found, found.form, batch, backprop_blocks, jump_every)
    alone = nothing_behind(network, found, backprop_blocks)
    alone = alone or without_statistics(network, layers, found, distillation)
    return alone or one_alone(layers, batch, micro_batch if found.micro_batches else batch)


def _trained_layers(network: Network, regime: Regime) -> tuple[Layer, ...]:
    """The layers that a step of ``regime`` passes: with all heads, or with the last one, the loss."""
    return network.all_layers if regime.heads else (*network.layers, *network.blocks[-1].head)
