"""The board's runs of RAM end to end, as the vertical scale of a packing map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from blockwise.experiment.step_rows import PlacedTensor, RunInfo

ROOMY = 4
"""A RAM that is larger than what it holds by this factor is not shown to its end: boxes would be lines."""
MARGIN = 1.25
"""How much of it is shown then, of what it holds."""


@dataclass(frozen=True)
class Stretch:
    """A run of RAM on the scale, from ``position`` on; what lies beyond its end does not fit."""

    run: RunInfo
    position: int
    shown: int  # bytes

    @property
    def whole(self) -> bool:
        """Whether its end is shown."""
        return self.shown >= self.run.bytes

    @property
    def usable_end(self) -> int:
        """Where the reserve begins, or the run ends."""
        return self.position + self.run.bytes - self.run.reserve_bytes

    @property
    def end(self) -> int:
        """Of what is shown."""
        return self.position + self.shown


def stretches(tensors: Sequence[PlacedTensor], runs: Sequence[RunInfo]) -> tuple[Stretch, ...]:
    """Each run as long as it is, longer where tensors reach beyond its end, or shorter where it is roomy."""
    reaches = {run.name: 0 for run in runs}
    for tensor in tensors:
        reaches[tensor.run] = max(reaches[tensor.run], tensor.offset + tensor.bytes)
    roomy = sum(run.bytes for run in runs) > ROOMY * sum(reaches.values())
    found: list[Stretch] = []
    for run in _reserved(runs, reaches):
        reach = reaches[run.name]
        shown = min(run.bytes, round(MARGIN * reach)) if roomy else max(run.bytes, reach)
        if shown:
            found.append(Stretch(run, found[-1].end if found else 0, shown))
    return tuple(found)


def _reserved(runs: Sequence[RunInfo], reaches: Mapping[str, int]) -> Sequence[RunInfo]:
    """The runs with the reserve where tensors leave it room, as the placement had it."""
    reserve = sum(run.reserve_bytes for run in runs)
    if all(reaches[run.name] <= run.bytes - run.reserve_bytes for run in runs if run.reserve_bytes):
        return runs
    left = [run for run in runs if reaches[run.name] <= run.bytes - reserve]
    if not left:  # it does not fit: where it would be
        return runs
    holder = min(left, key=lambda run: run.bytes)
    return [replace(run, reserve_bytes=reserve if run is holder else 0) for run in runs]
