"""The watcher of a task: makes messages of what it is told, seldom enough for a network."""

import time
from collections.abc import Callable, Sequence

from blockwise.executors.task import Progress, Tell
from blockwise.training.outcome import Epoch

PAUSE_S = 0.5
"""At least so long from one message to the next, but for those of epochs."""


class Reports:
    """Tells ``tell``; behind every epoch ``saved`` is called first, for its checkpoint is written."""

    def __init__(
        self,
        tell: Tell,
        saved: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell, self._saved, self._clock = tell, saved, clock
        self._phases: Sequence[str] = ("",)
        self._block, self._batches, self._epochs, self._done = "", 1, 0, 0
        self._last = float("-inf")

    def expect(self, phases: Sequence[str]) -> None:
        """What is trained one after the other."""
        self._phases = phases

    def phase(self, regime: str, block: str, batches: int, epochs: int) -> None:
        """A phase of ``batches`` steps in so many epochs begins."""
        self._block, self._batches, self._epochs, self._done = block, batches, epochs, 0

    def batch(self, done: int) -> None:
        """``done`` steps of the phase are behind."""
        self._done = done
        now = self._clock()
        if now - self._last >= PAUSE_S:
            self._last = now
            self._tell(Progress(self._part, self._block))

    def epoch(self, regime: str, epoch: Epoch) -> None:
        """One more is finished."""
        self._saved()
        self._tell(Progress(self._part, self._block, epoch, self._epochs))

    @property
    def _part(self) -> float:
        before = self._phases.index(self._block) if self._block in self._phases else 0
        return (before + self._done / self._batches) / len(self._phases)
