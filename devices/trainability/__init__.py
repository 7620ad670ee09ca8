"""What rules a training step out before it is begun, whatever the board: the one place that decides.

Refusals, rows that are only listed, rows at other batch sizes and the candidates of a search all ask
:func:`obstacle`. In float it is layers that compare images where one is alone; on integers also norms,
residual sums, windows, classes, and sums of products that do not fit 32 bits.
"""

from devices.network import Network
from devices.program.regimes import find
from devices.trainability.images import one_alone
from devices.trainability.integers import integer_obstacle
from devices.trainability.outcome import Obstacle

__all__ = ["Obstacle", "obstacle"]


def obstacle(network: Network, regime: str, batch: int, micro_batch: int = 1) -> Obstacle | None:
    """Why ``regime`` cannot train ``network`` on ``batch`` images a step; None if it can.

    Local heads count only in regimes that train them, ``micro_batch`` only in bp-micro.
    """
    if find(regime).is_integer:
        return integer_obstacle(network, regime, batch)
    return one_alone(network, regime, batch, micro_batch)
