"""Schedules for several boards: most regimes take the same step on each of them."""

from collections import defaultdict
from dataclasses import replace

from devices.network import Network
from devices.program.regimes import Step, find, schedule
from devices.program.schedule import Schedule


class Schedules:
    """Makes each schedule once; where a regime looks at the RAM that it has, once for every size of it."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, int], list[tuple[Network, Step, Schedule]]] = defaultdict(list)

    def of(self, regime: str, network: Network, step: Step) -> Schedule:
        """As :func:`devices.program.regimes.schedule` makes it."""
        found = find(regime)
        if not found.looks_at_ram and not (found.is_integer and step.by_tensor):
            step = replace(step, limit_bytes=None)
        known = self._made[regime, id(network)]  # the network is kept: none takes its identity
        for _, other, made in known:
            if other == step:
                return made
        known.append((network, step, schedule(regime, network, step)))
        return known[-1][2]
