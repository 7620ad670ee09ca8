"""Who leads, and who cannot be told from the leader: best needs a test, and the rest are ties."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blockwise.statistics.paired import ALPHA, LEAST, NOTHING, Paired, compared
from blockwise.statistics.shares import apart
from blockwise.statistics.spread import Spread


@dataclass(frozen=True)
class Contestant:
    """Errors in 0..1 by seed or person, of those that have one, each a share of ``images`` (0: unknown)."""

    name: str
    errors: Mapping[Any, float]
    images: int = 0
    lost: int = 0  # seeds that diverged, which have no error, or ended at chance

    @property
    def mean(self) -> float:
        """Over all that it has."""
        return Spread.of(list(self.errors.values())).mean


@dataclass(frozen=True)
class Rival:
    """One that does not lead."""

    name: str
    beside: Paired | None  # its error minus the leader's, pair by pair; None: they share no seed
    tested: bool  # by pairs; else by the intervals of the test images
    behind: bool


@dataclass(frozen=True)
class Standing:
    """Rivals are in the order of their mean errors."""

    leader: str
    rivals: tuple[Rival, ...]
    lost: int = 0  # seeds of the leader that lost their way

    @property
    def ties(self) -> tuple[str, ...]:
        """Those that are not told from the leader."""
        return tuple(rival.name for rival in self.rivals if not rival.behind)


def standing(contestants: Sequence[Contestant]) -> Standing | None:
    """The lowest mean error leads, of equal ones the first; None where nobody has an error.

    A rival is behind where paired t-tests say so over at least three shared seeds, false discoveries among
    all rivals held at 5 % (Benjamini & Hochberg 1995, JRSS B 57, 289-300). With fewer seeds it is where the
    95 % intervals of the test images are apart, which know of no other seeds; unknown images tell nothing.
    Nobody is behind who is better on the seeds that both have.
    """
    able = sorted((c for c in contestants if c.errors), key=lambda c: c.mean)
    if not able:
        return None
    leader, *others = able
    pairs = [_pairs(other, leader) for other in others]
    beside = [compared(pair) if pair else None for pair in pairs]
    rejected = _rejected([found.p if found else None for found in beside])
    rivals = []
    for other, found, chance in zip(others, beside, rejected, strict=True):
        tested = found is not None and found.difference.n >= LEAST
        behind = chance or _always(found) if tested else _apart(other, leader)
        worse = found is None or found.difference.mean > 0
        rivals.append(Rival(other.name, found, tested, behind and worse))
    return Standing(leader.name, tuple(rivals), leader.lost)


def _pairs(other: Contestant, leader: Contestant) -> list[tuple[float, float]]:
    return [(error, leader.errors[seed]) for seed, error in other.errors.items() if seed in leader.errors]


def _rejected(chances: Sequence[float | None]) -> list[bool]:
    """Whether each p-value stands against :data:`ALPHA` among all; None never does."""
    known = [p for p in chances if p is not None]
    if not known:
        return [False] * len(chances)
    from scipy.stats import false_discovery_control  # type: ignore[import-untyped]  # slow to import

    adjusted = iter(false_discovery_control(known))
    return [p is not None and bool(next(adjusted) < ALPHA) for p in chances]


def _always(found: Paired | None) -> bool:
    """Whether it is behind by as much under every seed, of which there is no test."""
    return found is not None and found.p is None and found.difference.mean > NOTHING


def _apart(a: Contestant, b: Contestant) -> bool:
    images = min(a.images, b.images)
    return images > 0 and apart(a.mean, b.mean, images)
