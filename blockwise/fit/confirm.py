"""A candidate exactly as it would be trained: its blocks balanced for its own step, and placed."""

from dataclasses import dataclass
from functools import partial

from blockwise import quant
from blockwise.experiment.step_times import has_kernels
from blockwise.fit.measure import Limits, Measured, step_of
from blockwise.fit.networks import Model, network_of
from blockwise.fit.space import Candidate
from devices.boards.profile import Device
from devices.network import Network
from devices.pace.step import StepTime, step_time
from devices.planning import Plan
from devices.program.regimes import find, schedule
from devices.trainability import obstacle

UNTIMED = StepTime(None, "", "not estimated")


@dataclass(frozen=True)
class Confirmed:
    """A candidate's exact figures, and what came of placing its tensors on the board."""

    measured: Measured
    arena_bytes: int  # of one stretch of memory
    missing_bytes: int  # of RAM: beyond the largest run in the best placement that was found
    fits: bool  # it can be trained, every tensor has a place, and what is paged fits the flash
    time: StepTime = UNTIMED  # of a step on the board

    @property
    def seconds_per_image(self) -> float | None:
        """The time of a step, by its images."""
        return None if self.time.seconds is None else self.time.seconds / self.candidate.batch

    @property
    def candidate(self) -> Candidate:
        """Whose figures they are."""
        return self.measured.candidate


def limits_of(device: Device) -> Limits:
    """The figures of a board that decide."""
    erase = device.flash.erase_bytes if device.flash else 0
    return Limits(device.usable_bytes, device.flash_bytes, device.alignment_bytes, erase)


def planned(candidate: Candidate, model: Model, device: Device) -> Plan:
    """The plan that a comparison with the candidate's flags would show."""
    return _plan(candidate, network_of(model, candidate.key, candidate.balance), model, device)


def _plan(candidate: Candidate, network: Network, model: Model, device: Device) -> Plan:
    step, made = step_of(candidate, model, limits_of(device)), partial(schedule, candidate.regime, network)
    found = Plan(device, candidate.regime, candidate.batch, candidate.update, made(step))
    return found.with_places(step, made)


def confirm(candidate: Candidate, model: Model, device: Device) -> Confirmed:
    """The figures of :func:`planned`. Cut elsewhere than in the search, a head may compare samples."""
    network = network_of(model, candidate.key, candidate.balance)
    plan = _plan(candidate, network, model, device)
    trainable = not obstacle(network, candidate.regime, candidate.batch, candidate.micro_batch or 1)
    program = plan.schedule
    measured = Measured(
        candidate, plan.peak_bytes, program.macs, program.flash_read_bytes, program.flash_written_bytes
    )
    return Confirmed(
        measured, plan.arena.height, plan.placement.missing_bytes, trainable and plan.fits,
        _time(candidate, model, plan),
    )  # fmt: skip


def _time(candidate: Candidate, model: Model, plan: Plan) -> StepTime:
    scheme = quant.scheme(
        model.method, weight_bits=candidate.weight_bits, activation_bits=candidate.activation_bits
    )
    kernels = has_kernels(scheme, candidate.optimizer, candidate.regime)
    integer = find(candidate.regime).is_integer
    return step_time(plan.schedule, plan.device, integer=integer, kernels=kernels, paging=plan.paging)
