"""Which operations of a schedule are repeated, and which begin and end the training of a block.

A schedule shows one step of everything that is trained. Where blocks are trained one by one, each has a
phase: what brings its state into RAM runs once, then its step as often as is asked for, then what packs it.
"""

from dataclasses import dataclass

from devices.program.operation import LOAD, Operation
from devices.program.schedule import Schedule

BEGINNING = frozenset({"deployed network", "unpack", "begins"})
END = frozenset({"pack", "ends"})


@dataclass(frozen=True)
class Phase:
    """Operations by their numbers: those that come first, those of every step, those that come last."""

    begin: range
    step: range
    end: range


def phases(schedule: Schedule) -> tuple[Phase, ...]:
    """In order. A schedule that trains all blocks at once has one phase, which neither begins nor ends."""
    operations = schedule.operations
    starts = [i for i, operation in enumerate(operations) if operation.action == LOAD] or [0]
    found, done = [], 0
    for start, following in zip(starts, [*starts[1:], len(operations)], strict=True):
        last = next((i for i in range(start, following) if _comes_behind(operations[i])), following)
        ends = next((i for i in range(last, following) if _comes_before(operations[i])), following)
        found.append(Phase(range(done, start), range(start, last), range(last, ends)))
        done = ends
    return tuple(found)


def packs(schedule: Schedule) -> bool:
    """Whether a training leaves its blocks packed."""
    return any(operation.action == "pack" for operation in schedule.operations)


def _comes_behind(operation: Operation) -> bool:
    return operation.action in END


def _comes_before(operation: Operation) -> bool:
    """The deployed network is written once, and what is left of it is read at the end."""
    return operation.action in BEGINNING and bool(operation.writes)
