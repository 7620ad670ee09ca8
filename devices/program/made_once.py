"""Schedules for several boards: most regimes take the same step on each of them."""

from collections import defaultdict
from dataclasses import replace

from devices.network import Network
from devices.program.ledger import Ledger
from devices.program.regimes import Step, find, schedule
from devices.program.schedule import Schedule

Made = tuple[Network, Step, Schedule, int]
"""A network, a step, and its schedule with its peak."""


class Schedules:
    """Makes each schedule once; where a regime looks at the RAM, once for all sizes that lead to the same.

    Such a regime takes the fewest operations within its limit, or else the lowest peak. So a limit that the
    lowest peak exceeds leads to that one, and what was best within a higher limit still is where it fits.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[str, int], list[Made]] = defaultdict(list)

    def of(self, regime: str, network: Network, step: Step) -> Schedule:
        """As :func:`devices.program.regimes.schedule` makes it."""
        return self._of(regime, network, step)[2]

    def _of(self, regime: str, network: Network, step: Step) -> Made:
        found = find(regime)
        if not found.chooses(step):
            step = replace(step, limit_bytes=None)
        known = self._made[regime, id(network)]  # the network is kept: none takes its identity
        for made in known:
            if made[1] == step:
                return made
        if found.looks_at_ram and step.limit_bytes is not None:
            same = self._within(step.limit_bytes, known, step)
            if same:
                return same
        program = schedule(regime, network, step)
        peak = Ledger(program, step.alignment).peak_bytes
        if found.looks_at_ram and step.limit_bytes is not None and peak > step.limit_bytes:
            step = replace(step, limit_bytes=None)  # it is as low as it gets
        known.append((network, step, program, peak))
        return known[-1]

    def _within(self, limit: int, known: list[Made], step: Step) -> Made | None:
        """What the same step led to under a higher limit, and keeps within this one or exceeds it anyway."""
        for made in known:
            above = made[1].limit_bytes
            same = made[3] > limit if above is None else made[3] <= limit <= above
            if same and replace(made[1], limit_bytes=limit) == step:
                return made
        return None
