"""How each regime of the catalogue of plans (:mod:`devices.program.regimes`) makes its gradients."""

from dataclasses import replace

from blockwise.integer.net import IntegerNet
from blockwise.nets.blocks import BlockNet
from blockwise.training.bp import Backpropagation
from blockwise.training.bp_checkpoint import CheckpointedBackpropagation
from blockwise.training.bp_micro import MicroBatchBackpropagation
from blockwise.training.integer import (
    IntegerBackpropagation,
    IntegerLocalLearning,
    IntegerResidentLearning,
)
from blockwise.training.integer_zeroth_order import IntegerZerothOrder
from blockwise.training.local import LocalLearning
from blockwise.training.local_resident import ResidentLocalLearning
from blockwise.training.phase import Procedure
from blockwise.training.zeroth_order import ZerothOrder
from devices.program.distillation import Distillation
from devices.program.regimes import INTEGER_REGIMES as PLANNED
from devices.program.regimes import find

REGIMES: dict[str, Procedure[BlockNet]] = {
    regime.name: regime
    for regime in (
        Backpropagation(),
        Backpropagation("bp-fused"),
        CheckpointedBackpropagation(),
        Backpropagation("bp-best"),
        MicroBatchBackpropagation(),
        LocalLearning(),
        LocalLearning("local-paged"),
        ResidentLocalLearning(),
        ZerothOrder(),
        ZerothOrder("zo-hybrid"),
    )
}
INTEGER_REGIMES: dict[str, Procedure[IntegerNet]] = {
    name: (
        IntegerZerothOrder(name)
        if regime.perturbs
        else IntegerResidentLearning(name)
        if regime.one_by_one
        else IntegerLocalLearning(name)
        if regime.heads
        else IntegerBackpropagation(name)
    )
    for name, regime in PLANNED.items()
}
"""On integers alone."""
AnyProcedure = Procedure[BlockNet] | Procedure[IntegerNet]
ALL_REGIMES: dict[str, AnyProcedure] = {**REGIMES, **INTEGER_REGIMES}
"""All of them."""


def float_regime(
    name: str, micro_batch: int, distillation: Distillation | None = None, skip_heads: float = 0.0
) -> Procedure[BlockNet]:
    """That of the float regime ``name``, with so many images at a time where that matters.

    ``distillation`` and ``skip_heads`` are for those whose blocks learn together; others take no notice.
    """
    made = MicroBatchBackpropagation(micro_batch) if find(name).micro_batches else REGIMES[name]
    if not isinstance(made, LocalLearning):
        return made
    return replace(made, distillation=distillation, skip_heads=skip_heads)


def make_regime(name: str, micro_batch: int) -> AnyProcedure:
    """That of any regime."""
    return INTEGER_REGIMES[name] if find(name).is_integer else float_regime(name, micro_batch)
