"""What charts show where no script runs: areas and boxes as paths, in the colours of the page.

The drawings carry no text. They are stretched to whatever width there is; captions name their scales.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from blockwise.experiment.result import RegimeResult
from blockwise.report.web.addresses import Stretch
from blockwise.report.web.palette import variable

GRID = 1_000
"""Steps of the vertical scale: no screen shows more, and short numbers make short files."""


@dataclass(frozen=True)
class Still:
    """A drawing: its size in units of its own, what is filled, and levels across it."""

    width: int
    fills: tuple[tuple[str, str], ...]  # colour's variable, path
    levels: tuple[int, ...]  # lines, from the top
    height: int = GRID


def timeline(regime: RegimeResult, categories: Sequence[str], top: float, usable: int) -> Still:
    """Live bytes by category, stacked; a line where the usable RAM ends. ``top`` in bytes."""
    below, fills = [0] * len(regime.timeline), []
    for category in categories:
        above = [
            under + row.by_category.get(category, 0)
            for under, row in zip(below, regime.timeline, strict=True)
        ]
        if above != below:
            fills.append((variable(category), _area(_scaled(below, top), _scaled(above, top))))
        below = above
    levels = (GRID - round(usable / top * GRID),) if usable <= top else ()
    return Still(len(regime.timeline), tuple(fills), levels)


def _scaled(sizes: Iterable[int], top: float) -> list[int]:
    return [GRID - round(size / top * GRID) for size in sizes]


def _area(lower: Sequence[int], upper: Sequence[int]) -> str:
    """From step to step along the upper edge, and back along the lower one."""
    forth = f"M0 {upper[0]}" + _steps(upper)
    return f"{forth}V{lower[-1]}" + _steps(lower[::-1], -1) + "z"


def _steps(levels: Sequence[int], direction: int = 1) -> str:
    """Relative moves, one for each run of equal levels."""
    parts, run = [], 0
    for number, level in enumerate(levels):
        run += direction
        following = levels[number + 1] if number + 1 < len(levels) else None
        if following != level:
            parts.append(f"h{run}" + ("" if following is None else f"V{following}"))
            run = 0
    return "".join(parts)


def packing(regime: RegimeResult, shown: Sequence[Stretch]) -> Still:
    """Every tensor as a box: operations to the right, addresses upwards; lines where usable RAM ends."""
    positions = {stretch.run.name: stretch.position for stretch in shown}
    end = shown[-1].end if shown else 1
    boxes: dict[str, list[str]] = defaultdict(list)
    for tensor in regime.tensors:
        low = positions[tensor.run] + tensor.offset
        high = _level(low + tensor.bytes, end)
        width = tensor.last + 1 - tensor.first
        tall = max(1, _level(low, end) - high)
        boxes[variable(tensor.category)].append(f"M{tensor.first} {high}h{width}v{tall}h-{width}z")
    levels = {_level(stretch.usable_end, end) for stretch in shown if stretch.whole}
    fills = tuple((colour, "".join(found)) for colour, found in boxes.items())
    return Still(len(regime.timeline), fills, tuple(sorted(levels)))


def _level(address: int, end: int) -> int:
    return GRID - round(address / end * GRID)
