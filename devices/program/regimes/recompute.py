"""Which segments of a network to recompute: the fewest extra operations under a byte limit.

The peak of any choice of kept and recomputed segments is a maximum of sums of what the stretches
between possible cuts save and need, and dynamic programming over the cuts finds the best choice.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Input:
    """What crosses the cut before a stretch. Bytes of one pass."""

    size: int
    saved: bool  # by what comes before or after the cut, if it is kept
    needed: bool  # going back, by what comes after the cut


@dataclass(frozen=True)
class Stretch:
    """The layers between two neighbouring cuts. Bytes of one pass."""

    input: Input
    saved: int  # kept from forward to backward if nothing is recomputed
    output_gradient: int
    forward: int  # most live bytes going forward, without state, labels and what came before
    forward_alone: int  # the same with the input, if nobody saves that
    passing: int  # most live bytes going forward, labels included, if nothing is kept
    passing_alone: int  # the same without the input
    backward: int  # most live bytes going back, with the labels if they are still there
    macs: int  # of the forward pass


@dataclass(frozen=True)
class Costs:
    """The stretches of a network; ``base`` is what is live throughout: state and the input."""

    base: int
    labels: int  # bytes that live until the loss: beside every forward pass, beside no recomputation
    cuts: tuple[int, ...]
    stretches: tuple[Stretch, ...]
    ahead: int = 0  # most live bytes before the first stretch


@dataclass(frozen=True)
class Choice:
    """Segments up to a cut: (first stretch, last stretch + 1, recomputed), in order."""

    segments: tuple[tuple[int, int, bool], ...] = ()
    stored: int = 0  # bytes kept by them, without the output of a recomputed one: the next one decides
    peak: int = 0
    macs: int = 0  # multiply-accumulates of recomputation

    @property
    def ends_again(self) -> bool:
        """Whether the last segment is recomputed."""
        return bool(self.segments) and self.segments[-1][2]


def lowest(costs: Costs) -> Choice:
    """The choice with the lowest peak."""
    found = _search(costs, lambda choice: (choice.stored, choice.peak), None)
    assert found  # without a limit every choice is possible
    return min(found, key=lambda choice: choice.peak)


def cheapest(costs: Costs, limit: int | None) -> Choice:
    """The choice within ``limit`` bytes that computes the least again.

    Where there is no limit, or no choice within it, that one of those with the lowest peak.
    """
    least = lowest(costs).peak
    choice = _cheapest(costs, least if limit is None else max(limit, least))
    assert choice is not None  # the lowest peak can be reached
    while choice.peak > least and (lower := _cheapest(costs, choice.peak - 1)) and lower.macs == choice.macs:
        choice = lower  # of those that compute as little, the one with the lowest peak
    return choice


def _cheapest(costs: Costs, limit: int) -> Choice | None:
    found = _search(costs, lambda choice: (choice.stored, choice.macs), limit)
    return min(found, key=lambda choice: (choice.macs, choice.peak), default=None)


def _search(costs: Costs, measures: Callable[[Choice], tuple[int, int]], limit: int | None) -> list[Choice]:
    """The choices for the whole network of which none is worse than another in both measures."""
    count = len(costs.stretches)
    at: list[list[Choice]] = [[Choice(peak=max(costs.base, costs.ahead))], *([] for _ in range(count))]
    for i in range(count):
        at[i] = [
            choice  # whether the last segment is recomputed decides what the next one costs
            for again in (False, True)
            for choice in _undominated([c for c in at[i] if c.ends_again is again], measures)
        ]
        for segment in _segments_from(costs, i):
            extended = (_extend(choice, segment, costs, limit) for choice in at[i])
            at[segment.end] += (choice for choice in extended if choice)
    return _undominated(at[count], measures)


@dataclass(frozen=True)
class _Candidate:
    """A segment; bytes beside the base and what earlier segments keep."""

    start: int
    end: int
    again: bool
    saved: int  # if it is kept
    passing: int  # most bytes beside the input in a first pass that keeps nothing
    ahead: int  # most bytes in the forward pass that saves
    ahead_alone: int  # the same if nobody saves its input
    back: int  # most bytes going back
    macs: int


def _segments_from(costs: Costs, start: int) -> Iterator[_Candidate]:
    """Every segment that begins at this stretch; the last one of the network is kept."""
    saved = passing = forward = alone = backward = macs = 0
    last = len(costs.stretches)
    for end, stretch in enumerate(costs.stretches[start:], start + 1):
        forward = max(forward, saved + stretch.forward)
        alone = max(alone, saved + (stretch.forward if end > start + 1 else stretch.forward_alone))
        backward = max(backward, saved + stretch.backward)
        passing = max(passing, stretch.passing if end > start + 1 else stretch.passing_alone)
        saved, macs = saved + stretch.saved, macs + stretch.macs
        labels = costs.labels
        yield _Candidate(start, end, False, saved, 0, forward + labels, alone + labels, backward, 0)
        if end < last:
            beside = stretch.output_gradient
            yield _Candidate(start, end, True, 0, passing, forward + beside, alone + beside, backward, macs)


def _extend(choice: Choice, segment: _Candidate, costs: Costs, limit: int | None) -> Choice | None:
    """With one more segment; None where that exceeds the limit."""
    source, stored, ahead = costs.stretches[segment.start].input, choice.stored, segment.ahead
    is_stored = source.saved
    if choice.ends_again:  # nobody before the cut saves the input
        is_stored = source.needed
        stored += source.size if is_stored else 0
        ahead = segment.ahead if is_stored else segment.ahead_alone
    until_recomputed = source.size if segment.again and not is_stored else 0
    most = costs.base + stored + max(ahead, segment.back, segment.passing + until_recomputed)
    peak = max(choice.peak, most)
    if limit is not None and peak > limit:
        return None
    segments = (*choice.segments, (segment.start, segment.end, segment.again))
    return Choice(segments, stored + segment.saved + until_recomputed, peak, choice.macs + segment.macs)


def _undominated(choices: list[Choice], measures: Callable[[Choice], tuple[int, int]]) -> list[Choice]:
    kept: list[Choice] = []
    for choice in sorted(choices, key=lambda c: (*measures(c), c.macs)):
        if not kept or measures(choice)[1] < measures(kept[-1])[1]:
            kept.append(choice)
    return kept
