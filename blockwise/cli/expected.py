"""How far a comparison is, and how long it will go on: what is to be trained is known before it begins."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from blockwise.experiment.compare import trained_anew
from blockwise.experiment.config import Config
from blockwise.experiment.result import Result
from devices.program.regimes import find


@dataclass(frozen=True)
class Share:
    """A training that is to come: its regime, what its phases train in turn, and its part of the work."""

    regime: str
    phases: tuple[str, ...]
    work: float
    last: float = 1.0  # how long the last of several phases is beside another


def shares(config: Config, result: Result) -> tuple[Share, ...]:
    """The trainings of a planned comparison. All have as many steps of each phase but the last."""
    blocks, anew = tuple(result.model.blocks), trained_anew(config)
    return tuple(
        Share(
            row.regime,
            blocks if find(row.regime).one_by_one else ("",),
            result.weighed_macs(row),
            result.epochs_of_last(row),
        )
        for row in result.regimes
        if row.regime in anew
    )


@dataclass
class Expected:
    """Of ``shares``, all done in this order, in so many ``rounds``; ``clock`` gives seconds."""

    shares: Sequence[Share] = ()
    rounds: int = 1
    clock: Callable[[], float] = time.monotonic
    _behind: int = field(default=0, init=False)  # rounds
    _begun: tuple[float, float] | None = field(default=None, init=False)  # when, and how much was done then

    def begin(self, shares: Sequence[Share]) -> None:
        """A round begins; all that were begun before are behind."""
        self._behind += bool(self.shares)
        self.shares = shares

    def count(self, regime: str) -> tuple[int, int]:
        """Which training it is, from 1, and of how many; 0 where nothing is expected."""
        names = [share.regime for share in self.shares]
        return (names.index(regime) + 1 if regime in names else 0), len(names)

    def seconds_left(self, regime: str, block: str, part: float) -> float | None:
        """Until all is done, with ``part`` (0..1) of the phase of ``block`` behind; None: not known yet.

        It is reckoned from what this run has done itself: a run that is resumed begins in the middle.
        """
        done, now = self._done(regime, block, part), self.clock()
        if self._begun is None:
            self._begun = now, done
        started, before = self._begun
        return (now - started) * (1 - done) / (done - before) if done > before else None

    def _done(self, regime: str, block: str, part: float) -> float:
        """How much of all work is done, 0..1. Where nothing is expected this training is all."""
        number, _ = self.count(regime)
        if not number:
            return part
        present = self.shares[number - 1]
        index = present.phases.index(block) if block in present.phases else 0
        behind = sum(share.work for share in self.shares[: number - 1])
        lengths = [*[1.0] * (len(present.phases) - 1), present.last]
        behind += present.work * (sum(lengths[:index]) + part * lengths[index]) / sum(lengths)
        return (self._behind + behind / sum(share.work for share in self.shares)) / self.rounds
