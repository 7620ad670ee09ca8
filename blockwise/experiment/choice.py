"""The local head with its cut: as asked for, the first that fits, or the leanest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockwise.experiment.config import Config
from blockwise.experiment.settings.words import AUTO
from blockwise.models import Chain
from blockwise.nets.anatomy import Anatomy, shapes_alone
from blockwise.nets.cuts import Cut
from devices.network import Network
from devices.program.regimes import LEANEST, find

if TYPE_CHECKING:
    from blockwise.experiment.planner import Planner

HEAD_CANDIDATES = ("lookahead:64", "lookahead:32", "lookahead:16", "lookahead:8", "gap")
"""From the most accurate head to the smallest, for ``--head auto``."""

INTEGER_HEADS = ("pred-pooled", "gap")
"""The same with integer regimes that have local heads: these are pooled linear layers."""


@dataclass(frozen=True)
class Chosen:
    """A head, the groups of unit numbers that are blocks under it, and the whole network so cut."""

    head: str
    cut: Cut
    network: Network


class Heads:
    """The network under every head that is asked for, cut once: heads and cuts are the same on all boards.

    ``sizes`` are the network's: a large one is made in no memory.
    """

    def __init__(self, planner: Planner, chain: Callable[[], Chain], *sizes: int) -> None:
        self._blocks, self._step = planner.config.network.blocks, planner.step(LEANEST)
        self._made: dict[str, Chosen] = {}
        self._trainable: dict[tuple[str, tuple[str, ...]], bool] = {}
        with shapes_alone(*sizes):
            self._anatomy = Anatomy(chain(), _candidates(planner.config)[0])

    def option(self, head: str) -> Chosen:
        """The network under this head."""
        if head not in self._made:
            anatomy = self._anatomy.with_head(head)
            cut = anatomy.cut(self._blocks, self._step)
            self._made[head] = Chosen(head, cut, anatomy.network(cut))
        return self._made[head]

    def smallest(self, planner: Planner) -> str:
        """The least of the heads that the planner's configuration leaves open, or the one it names."""
        return _candidates(planner.config)[-1]

    def choose(self, planner: Planner) -> Chosen:
        """As the planner's configuration asks; or the most accurate head that fits its board, or else the
        one with the lowest peak.
        """
        names, deciding = _candidates(planner.config), _deciding(planner.config)
        tried: list[tuple[int, Chosen]] = []
        for option in map(self.option, names):
            if len(names) == 1:
                return option
            if not self._can_train(planner, option, deciding):
                continue
            network = planner.part_of(option.network)
            plans = [planner.plan(network, regime) for regime in deciding]
            if any(plan.fits for plan in plans):
                return option
            tried.append((min(plan.peak_bytes for plan in plans), option))
        return min(tried, key=lambda found: found[0])[1] if tried else option

    def _can_train(self, planner: Planner, option: Chosen, deciding: tuple[str, ...]) -> bool:
        """Whether all regimes that are asked for can be trained under this head, on whatever board."""
        regimes = tuple(dict.fromkeys((*planner.config.training.regimes, *deciding)))
        key = option.head, regimes
        if key not in self._trainable:
            network = planner.part_of(option.network)
            self._trainable[key] = not any(planner.obstacle(network, regime) for regime in regimes)
        return self._trainable[key]


def _candidates(config: Config) -> tuple[str, ...]:
    asked = config.network.head
    if asked != AUTO:
        return (asked,)
    return INTEGER_HEADS if any(find(r).is_integer for r in _local_regimes(config)) else HEAD_CANDIDATES


def _local_regimes(config: Config) -> tuple[str, ...]:
    """Those asked for whose blocks have heads."""
    return tuple(r for r in config.training.regimes if find(r).heads)


def _deciding(config: Config) -> tuple[str, ...]:
    """The regimes of which one has to fit under a head that is chosen."""
    local = _local_regimes(config)
    return local if local and LEANEST not in local else (LEANEST,)
