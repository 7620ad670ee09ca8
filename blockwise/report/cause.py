"""What a regime's peak is made of, read off its timeline: the category that dominates, whose, from when."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from blockwise.experiment.result import RegimeResult
from blockwise.experiment.step_rows import PlacedTensor
from blockwise.report.text import join, kib, operation_words, size
from devices.program.categories import SAVED_ACTIVATIONS

HALF = 0.5
"""The fewest parts of the network that hold this share of the category are named."""
MOST_PARTS = 3


@dataclass(frozen=True)
class Cause:
    """The largest category at the peak, as far as the parts of the network that dominate it hold it."""

    category: str
    parts: tuple[str, ...]  # stages, or units where there are none; in the order of the program
    bytes: int
    in_all: int  # bytes of the category, whosever they are
    first: int  # operation from which the first of its tensors is held, from 0
    last: int  # to which the last one is
    largest: PlacedTensor
    peak: int  # operation of the peak
    operations: int  # of the step

    @property
    def throughout(self) -> bool:
        """Whether it is there for the whole step."""
        return self.first == 0 and self.last == self.operations - 1


def cause_of(regime: RegimeResult) -> Cause | None:
    """Of the first moment at which live bytes are highest; None where no tensors are known."""
    if not regime.tensors or not regime.timeline:
        return None
    live = [moment.live_bytes for moment in regime.timeline]
    peak = live.index(max(live))
    at_peak = regime.timeline[peak].by_category
    category = max(at_peak, key=at_peak.__getitem__)
    alive = [t for t in regime.tensors if t.first <= peak <= t.last and t.category == category]
    parts = _dominating(alive)
    chosen = [tensor for tensor in alive if _part(tensor) in parts]
    return Cause(
        category, parts, sum(t.bytes for t in chosen), at_peak[category], min(t.first for t in chosen),
        max(t.last for t in chosen), max(chosen, key=lambda t: t.bytes), peak, len(live),
    )  # fmt: skip


def cause_words(regime: RegimeResult, *, whole: bool = True) -> str:
    """The cause in a sentence without its end, and the moment of the peak: ``whole``, with its operation."""
    found = cause_of(regime)
    if found is None:
        category = max(regime.by_category, key=regime.by_category.__getitem__)
        return f"{size(regime.by_category[category])} of {category}; peak: {operation_words(regime)}"
    verb = "kept" if found.category == SAVED_ACTIVATIONS else "held"
    span = " throughout" if found.throughout else f", {verb} from operation {found.first} to {found.last}"
    in_all = "" if found.bytes == found.in_all else f" ({kib(found.in_all)} in all)"
    moment = f"operation {found.peak} of {found.operations}, {operation_words(regime)}"
    return (
        f"{size(found.bytes)} of {found.category} of {join(list(found.parts))}{in_all}{span}; "
        f"largest: {found.largest.name}, {size(found.largest.bytes)}; "
        f"{f'peak: {moment}' if whole else f'peak at {found.peak}'}"
    )


def _dominating(tensors: Sequence[PlacedTensor]) -> tuple[str, ...]:
    """The fewest parts that hold half of the bytes, in the order of the program."""
    held: dict[str, int] = defaultdict(int)
    for tensor in tensors:
        held[_part(tensor)] += tensor.bytes
    chosen: list[str] = []
    for part in sorted(held, key=lambda part: -held[part])[:MOST_PARTS]:
        if sum(held[name] for name in chosen) < HALF * sum(held.values()):
            chosen.append(part)
    return tuple(part for part in held if part in chosen)


def _part(tensor: PlacedTensor) -> str:
    """Whose it is: stage1 of stage1_2.conv1.out; the unit itself where units are not numbered in stages."""
    unit = tensor.name.partition(".")[0]
    stage = re.fullmatch(r"(.*\d)_\d+", unit)
    name = stage[1] if stage else unit
    return f"{name}'s heads" if tensor.owner.endswith(".head") else name
