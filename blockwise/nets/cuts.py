"""Where to cut a chain of units into blocks: stages, residual blocks, layers, N balanced blocks, or by name.

A cut is a list of groups of consecutive unit numbers. Unless each unit is asked for, the classifier
belongs to the last block of features: a block of its own leaves the features before it to another head.
"""

from collections.abc import Callable, Sequence
from functools import cache

from devices.errors import InputError

Cut = tuple[tuple[int, ...], ...]
AUTO, AUTO_BLOCKS = "auto", 8
"""Balanced blocks where the user names no cut; fewer for networks with fewer layers."""

EACH = "each"
"""As layers, and the classifier is a block of its own (Nøkland & Eidnes 2019)."""

NAMED_CUTS = ("stages", "residual", "layers", EACH)
"""``residual`` keeps residual sums whole, ``layers`` also cuts plain chains anywhere; both cut
between all units, since a unit is a residual block or one layer of a plain chain."""


def cut(
    stages: Sequence[int], blocks: str, cost: Callable[[int, int], int], names: Sequence[str] = ()
) -> Cut:
    """Cut units, of which unit i belongs to ``stages[i]`` and the last is the classifier.

    ``blocks`` is one of :data:`NAMED_CUTS`, a number, "auto", or which of ``names``, those of the units,
    begin a block, with commas between. ``cost(i, j)`` is the peak in bytes of training units i .. j-1 as one
    block; a number of blocks is placed where the largest cost is smallest. Raises InputError for anything
    else, or more blocks than there are units.
    """
    bodies = max(len(stages) - 1, 1)  # a network that cannot be cut is one block
    if blocks == "stages":
        starts = [i for i in range(bodies) if i == 0 or stages[i] != stages[i - 1]]
    elif blocks in NAMED_CUTS:
        starts = list(range(len(stages) if blocks == EACH else bodies))
    elif "," in blocks or (blocks in names and not blocks.isdecimal()):
        starts = _beginning([part.strip() for part in blocks.split(",")], names)
    else:
        starts = list(balanced(len(stages), _count(blocks, bodies, names), cost))
    ends = [*starts[1:], len(stages)]
    return tuple(tuple(range(start, end)) for start, end in zip(starts, ends, strict=True))


def _count(blocks: str, most: int, names: Sequence[str]) -> int:
    if blocks == AUTO:
        return min(AUTO_BLOCKS, most)
    count = int(blocks) if blocks.isdecimal() else 0
    if 1 <= count <= most:
        return count
    units = f", or those that begin a block, of {', '.join(names)}" if names else ""
    counted = f"a number from 1 to {most}, the layers that can be cut"
    wanted = f"{AUTO}, {', '.join(NAMED_CUTS)}, {counted}{units}"
    raise InputError("--blocks", got=repr(blocks), wanted=wanted, do="choose one of these")


def _beginning(parts: Sequence[str], names: Sequence[str]) -> list[int]:
    """The units that begin a block, the first among them whether it is named or not."""
    unknown = [part for part in parts if part not in names]
    starts = [] if unknown else [names.index(part) for part in parts]
    if unknown or starts != sorted(set(starts)):
        got = (repr(unknown[0]) if unknown[0] else "an empty name") if unknown else ",".join(parts)
        wanted = f"units in their order, each once: {', '.join(names)}"
        raise InputError("--blocks", got=got, wanted=wanted, do="name those that begin a block")
    return starts if starts[0] == 0 else [0, *starts]


def balanced(units: int, count: int, cost: Callable[[int, int], int]) -> tuple[int, ...]:
    """First units of ``count`` blocks whose largest cost is smallest (dynamic programming).

    The last unit stays with the one before it.
    """

    @cache
    def best(start: int, left: int) -> tuple[int, int, tuple[int, ...]]:
        if left == 1:
            price = cost(start, units)
            return price, price, (start,)
        choices = []
        for end in range(start + 1, units - left + 1):
            largest, total, starts = best(end, left - 1)
            price = cost(start, end)
            choices.append((max(price, largest), price + total, (start, *starts)))
        return min(choices)

    return best(0, count)[2]


def block_name(units: tuple[str, ...]) -> str:
    """The first and the last unit of a block; the classifier goes without saying."""
    named = [unit for unit in units if unit != "classifier"] or list(units)
    return named[0] if len(named) == 1 else f"{named[0]}..{named[-1]}"
