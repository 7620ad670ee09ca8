"""What only blocks do that learn together: teach each other, and skip steps by chance."""

from devices.network import Network
from devices.program.distillation import Distillation, teaches
from devices.program.regimes import REGIMES, Regime
from devices.trainability.outcome import Obstacle


def apart(
    network: Network, regime: Regime, distillation: Distillation | None, skip_heads: float
) -> Obstacle | None:
    """Why a local ``regime`` cannot do what is asked of it; None if it can, or has no local heads."""
    flag = "--distill" if distillation is not None else "--skip-heads" if skip_heads else ""
    if not flag or not regime.heads:
        return None
    if not regime.learns_together:
        reason = "is trained before the next" if regime.one_by_one else "steps on integers"
        names = " or ".join(name for name, found in REGIMES.items() if found.learns_together)
        return Obstacle(
            f"each block {reason}: {flag} is for {names}", flag, f"{regime.name}, where each block {reason}",
            f"{names}, where blocks learn together", "leave it out, or choose others by --regimes",
        )  # fmt: skip
    if distillation is not None and not teaches(network):
        return Obstacle(
            "no local head classifies", flag, "no local head before the last block that classifies",
            "one that can be taught", "cut more blocks, or use another --head, as lookahead",
        )  # fmt: skip
    return None
