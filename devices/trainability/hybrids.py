"""What a hybrid of zeroth order has to go back to."""

from devices.network import Network
from devices.program.regimes import Regime
from devices.trainability.outcome import Obstacle


def nothing_behind(network: Network, regime: Regime, backprop_blocks: int) -> Obstacle | None:
    """Why a hybrid in float cannot train blocks in front alone; None if it trains some behind them, too."""
    front = regime.front(len(network.blocks), backprop_blocks)
    if not (regime.perturbs and regime.goes_back and front):
        return None
    behind = (layer for block in network.blocks[front:] for layer in (*block.layers, *block.head))
    if any(layer.learns for layer in behind):
        return None
    return Obstacle(
        "nothing to train by backpropagation", f"regime {regime.name}",
        "blocks to train in front alone, none of the last ones",
        "some behind, which it trains by backpropagation", "use --regimes zo, or choose others by --train",
    )  # fmt: skip
