"""How long steps and epochs would take on the board: what a result says of it, and where it comes from."""

from blockwise.data.loader import batch_count
from blockwise.experiment.planner import Planner
from blockwise.experiment.step_rows import TimeInfo
from blockwise.quant import Scheme
from devices.pace.step import StepTime, step_time
from devices.planning import Plan
from devices.program.regimes import find

IN_C = ("fp32", "lsq")
"""Quantization methods that the firmware has kernels for."""
OPTIMIZERS_IN_C = ("sgd", "sgd-momentum")
"""Optimizers that it has kernels for."""


def has_kernels(scheme: Scheme, optimizer: str, regime: str) -> bool:
    """Whether the firmware has the quantizers and the optimizer of such a training."""
    if find(regime).is_integer:
        return True
    methods = scheme.weight.name, scheme.activation.name
    return optimizer in OPTIMIZERS_IN_C and (scheme.is_float or all(name in IN_C for name in methods))


def time_of(planner: Planner, plan: Plan) -> StepTime:
    """The time of a plan of the planner's configuration."""
    kernels = has_kernels(planner.config.scheme, planner.config.training.optimizer, plan.regime)
    return step_time(
        plan.schedule, plan.device, integer=find(plan.regime).is_integer, kernels=kernels, paging=plan.paging,
        made=planner.workloads,
    )  # fmt: skip


def time_info(planner: Planner, plan: Plan, samples: int) -> TimeInfo:
    """The same, and that of an epoch of ``samples`` training samples."""
    found = time_of(planner, plan)
    steps = batch_count(samples, plan.batch_size, drop_last=True) if samples else 0
    epoch = found.seconds * steps if found.seconds is not None and steps else None
    return TimeInfo(
        found.seconds, epoch, steps, found.basis, found.rests_on, found.instructions, found.flash_seconds
    )
