"""Layers that pass as they are deployed, and cannot."""

from collections.abc import Sequence

from devices.network import Layer, Network
from devices.network.ops import BatchNorm
from devices.program.distillation import Distillation
from devices.program.regimes import Regime
from devices.trainability.outcome import Obstacle


def without_statistics(
    network: Network, layers: Sequence[Layer], regime: Regime, distillation: Distillation | None
) -> Obstacle | None:
    """Why a batch norm that keeps no statistics stands in the way; None if none rests in a step.

    A deployed network has images one by one: such a norm would compare pixels where it compared images.
    """
    norms = [x for x in layers if isinstance(x.op, BatchNorm) and not x.op.tracks]
    answers = distillation is not None and regime.learns_together
    all_rest = "finished blocks" if regime.one_by_one else "--distill" if answers else ""
    resting = [x for x in norms if all_rest or (network.is_partial and not x.trained.anything)]
    if not resting:
        return None
    name, why = resting[0].name, all_rest or "frozen layers"
    return Obstacle(
        f"a batch norm without running statistics ({name}) has nothing to pass images by",
        f"regime {regime.name}", f"the batch norm {name} without running statistics, with {why}",
        "norms that can pass images as they are deployed",
        "set track_running_stats=True, use a group norm, or train all of the network at once",
    )  # fmt: skip
