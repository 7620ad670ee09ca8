"""How long a step of training takes on a board, and what that rests on."""

from dataclasses import dataclass
from typing import Literal

from devices.boards.profile import Device
from devices.memory.paging import Paging
from devices.pace.cores import PACES, Pace, arm_core
from devices.pace.kernels import Counted, counted_for
from devices.pace.published import PUBLISHED
from devices.pace.workload import Workloads
from devices.program.schedule import Schedule

Basis = Literal["instructions", "products", ""]
"""Of what an estimate is made: instructions of kernels, multiply-accumulates, or nothing with a source."""

STAND_IN = {"Cortex-M55": "Cortex-M33"}
"""A core -> the one whose pace it is given: it runs the same instructions, its vectors left out."""


@dataclass(frozen=True)
class StepTime:
    """An estimate of a step's time; where blocks are trained one by one, of one step of each.

    ``seconds`` is None where no figure has a source; ``flash_seconds`` are those of paging, which it
    includes. Both are without wait states of flash and without caches.
    """

    seconds: float | None
    basis: Basis
    rests_on: str
    instructions: int | None = None
    flash_seconds: float = 0.0


def step_time(
    schedule: Schedule, device: Device, *, integer: bool, kernels: bool, paging: Paging | None = None,
    made: Workloads | None = None,
) -> StepTime:  # fmt: skip
    """The time of ``schedule`` on a board at its clock.

    ``kernels`` says whether the firmware has kernels for the quantizers and the optimizer of the step;
    ``made`` are the workloads of schedules that were timed before.
    """
    flash = _flash_seconds(paging)
    if flash is None:
        return StepTime(None, "", "no time of the board's flash is known")
    counted = counted_for(device)
    found = (
        _of_core(schedule, device, counted, integer, kernels, made or Workloads())
        if counted
        else _of_others(schedule, device, integer)
    )
    if found.seconds is None:
        return found
    return StepTime(found.seconds + flash, found.basis, found.rests_on, found.instructions, flash)


def _of_core(
    schedule: Schedule, device: Device, counted: Counted, integer: bool, kernels: bool, made: Workloads
) -> StepTime:
    core = arm_core(device)
    pace = PACES[STAND_IN.get(core, core)]
    like = f", as a {STAND_IN[core]} without vectors" if core in STAND_IN else ""
    estimate = counted.instructions(made.of(schedule, integer=integer)) if kernels else None
    if estimate is not None:
        seconds = _seconds(estimate.instructions, pace, device)
        similar = round(100 * (1 - estimate.known))
        share = f" ({similar} % of them by similar kernels)" if similar else ""
        rests_on = f"instructions of the firmware's kernels{share}, {pace.in_short}{like}"
        return StepTime(seconds, "instructions", rests_on, estimate.instructions)
    per_product = counted.per_product["int" if integer else "float"]
    what = "integers" if integer else "floats"
    rests_on = (
        f"{per_product:.1f} instructions per multiply-accumulate, as in counted steps with {what}, "
        f"{pace.in_short}{like}"
    )
    return StepTime(_seconds(schedule.macs * per_product, pace, device), "products", rests_on)


def _of_others(schedule: Schedule, device: Device, integer: bool) -> StepTime:
    found = PUBLISHED.get(device.core)
    rate = None if found is None else found.integer if integer else found.float32
    if found is None or rate is None:
        what = "integers" if integer else "floats"
        return StepTime(None, "", f"no figure with a source for {what} on a {device.core}")
    source = found.integer_source if integer else found.float_source
    clock = f" at {found.clock_mhz:g} MHz" if found.clock_mhz else ""
    rests_on = f"{rate:.2g} multiply-accumulates per cycle{clock}: {source}"
    clock_mhz = found.clock_mhz or device.clock_mhz
    return StepTime(schedule.macs / rate / (clock_mhz * 1e6), "products", rests_on)


def _seconds(instructions: float, pace: Pace, device: Device) -> float:
    return instructions * pace.cycles_per_instruction / (device.clock_mhz * 1e6)


def _flash_seconds(paging: Paging | None) -> float | None:
    if paging is None:
        return 0.0
    if paging.read_seconds is None or paging.write_seconds is None:
        return None
    return paging.read_seconds + paging.write_seconds
