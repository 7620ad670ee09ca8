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
    """A head, the groups of unit numbers that are blocks under it, and the network so cut."""

    head: str
    cut: Cut
    network: Network


def choose(planner: Planner, chain: Callable[[], Chain], *sizes: int) -> Chosen:
    """The head: as asked for; or the most accurate one that fits, or else has the lowest peak.

    ``sizes`` are the network's: a large one is made in no memory.
    """
    heads, deciding = _candidates(planner.config), _deciding(planner.config)
    with shapes_alone(*sizes):
        anatomy, tried = Anatomy(chain(), heads[0]), []
    for head in heads:
        anatomy = anatomy.with_head(head)
        cut = anatomy.cut(planner.config.network.blocks, planner.step(LEANEST))
        option = Chosen(head, cut, anatomy.network(cut))
        if len(heads) == 1:
            return option
        if not _can_train(planner, option.network, deciding):
            continue
        plans = [planner.plan(option.network, regime) for regime in deciding]
        if any(plan.fits for plan in plans):
            return option
        tried.append((min(plan.peak_bytes for plan in plans), option))
    return min(tried, key=lambda found: found[0])[1] if tried else option


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


def _can_train(planner: Planner, network: Network, deciding: tuple[str, ...]) -> bool:
    regimes = dict.fromkeys((*planner.config.training.regimes, *deciding))
    return not any(planner.obstacle(network, regime) for regime in regimes)
