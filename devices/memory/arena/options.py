"""What may come next at a stretch of the skyline between two higher ones.

Among the plans that complete a partial one, look at those whose offsets have the lowest sum. On the
stretch, each of them has a first item from the left, or nothing. What is left of that item stays
empty then, up to the lower of its neighbours: whatever began lower would lie on the stretch itself.
So the moments there must be able to waste that much, and nothing that waits may fit in, or it could
be moved there. The same holds from the right, and for a stretch on which nothing lies.
"""

from collections.abc import Iterable

from devices.memory.arena.limits import NOWHERE
from devices.memory.arena.partial import NextOptions, Partial, SkylineStretch


def options_at(plan: Partial, at: SkylineStretch) -> NextOptions:
    """The options of the side that has fewer. The one whose rim can waste less is counted first."""
    lift, from_right = _may_stay_empty(plan, at), plan.slack[at.end - 1] < plan.slack[at.start]
    kinds = _first(plan, at, from_right, NOWHERE)
    if len(kinds) + lift > 1:
        others = _first(plan, at, not from_right, len(kinds))
        if len(others) < len(kinds):
            kinds, from_right = others, not from_right
    return NextOptions(kinds, from_right, lift)


def _first(plan: Partial, at: SkylineStretch, from_right: bool, most: int) -> list[int]:
    """Kinds that may lie on a stretch as the first from one side; enough to tell if there are ``most``."""
    starting, ending = plan.starting, plan.ending
    if from_right:
        return _inwards(plan, at, range(at.end, at.start, -1), ending, starting, at.right, most)
    return _inwards(plan, at, range(at.start, at.end), starting, ending, at.left, most)


def _inwards(
    plan: Partial, at: SkylineStretch, moments: Iterable[int], near: list[list[int]], far: list[list[int]],
    wall: int, most: int,
) -> list[int]:  # fmt: skip
    """The same, with ``moments`` from that side inwards and the height beside it.

    ``near`` has the kinds by the end that they turn to that side, ``far`` by the other.
    """
    kinds, slack = plan.kinds, plan.slack
    lower, upper, padded, size = kinds.lower, kinds.upper, kinds.padded, kinds.size
    start, end, _, _, _ = at
    room, wall, behind = kinds.height - at.level, wall - at.level, near is plan.starting
    spare = smallest = limit = NOWHERE  # what may be wasted so far; what waits and would fit in there
    found, inwards = [], False
    for moment in moments:
        if inwards:
            here = slack[moment - behind]
            if here < spare:
                spare = here
                if spare <= 0:
                    break
            for kind in far[moment]:
                if padded[kind] < smallest and lower[kind] >= start and upper[kind] <= end:
                    smallest = padded[kind]
            limit = spare if spare < smallest else smallest - 1
        inwards = True
        for kind in near[moment]:
            if (
                lower[kind] >= start
                and upper[kind] <= end
                and size[kind] <= room
                and (padded[kind] <= limit or wall <= limit)
            ):
                found.append(kind)
        if len(found) >= most:
            break
    return found


def _may_stay_empty(plan: Partial, at: SkylineStretch) -> bool:
    """Whether it may rise to its lower neighbour."""
    lift = min(at.left, at.right) - at.level
    if lift > min(plan.slack[at.start : at.end]):
        return False
    upper, padded = plan.kinds.upper, plan.kinds.padded
    return not any(
        upper[kind] <= at.end and padded[kind] <= lift
        for kinds in plan.starting[at.start : at.end]
        for kind in kinds
    )
