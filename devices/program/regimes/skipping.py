"""Steps in which a block only hands on, by chance: its head has no loss, and nothing of it goes back.

After stochastic depth (Huang et al. 2016, arXiv 1603.09382), which skips layers in place of losses. The
program is that of a step in which every block learns, for any step may be one: it has the peak. What may be
skipped says in which share of the steps it is done.
"""

from dataclasses import replace

from devices.errors import InputError
from devices.program.operation import Operation
from devices.program.regimes.builder import Builder
from devices.program.schedule import Schedule

HEAD = ".head"
"""Behind the name of a block whose head an operation is of."""
GOES_BACK = ("backward", "update")


def check_share(subject: str, share: float) -> None:
    """Raise InputError, about ``subject``, for a chance by which nothing would be learnt, or that is none."""
    if not 0 <= share < 1:
        raise InputError(subject, got=share, wanted="0 or more, below 1", do="try 0.5, or leave it out")


def sometimes(schedule: Schedule, build: Builder) -> Schedule:
    """The schedule whose blocks before the last that learns do so in their share of the steps."""
    share = 1 - build.step.skip_heads
    if share == 1:
        return schedule
    names = {block.name for block in build.network.blocks if block.learns} - {build.last.name}

    def told(operation: Operation) -> Operation:
        head = operation.block.endswith(HEAD)
        skipped = operation.block.removesuffix(HEAD) in names and (head or operation.phase in GOES_BACK)
        return replace(operation, share=share) if skipped else operation

    return replace(schedule, operations=tuple(map(told, schedule.operations)))
