"""Which bit width is best in each budget: what the recorded seeds of every point say."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from blockwise.statistics.standing import Contestant, Standing, standing
from blockwise.studies.errors import Errors, errors_of


@dataclass(frozen=True)
class Place:
    """All seeds of one bit width in one budget."""

    compression: int
    bits: int
    width: int
    over_seeds: Errors


def places(rows: Iterable[dict[str, Any]]) -> tuple[Place, ...]:
    """One for each bit width in each budget, the widest budget first, of few bits first."""
    found: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["compression"], row["bits"]), []).append(row)
    return tuple(Place(*key, found[key][0]["width"], errors_of(found[key])) for key in sorted(found))


def fronts(found: Iterable[Place]) -> dict[int, Standing]:
    """By compression: the bit width with the lowest error, and which of the others tie with it."""
    budgets: dict[int, list[Contestant]] = {}
    for place in found:
        budgets.setdefault(place.compression, []).append(place.over_seeds.contestant(str(place.bits)))
    judged = {compression: standing(own) for compression, own in budgets.items()}
    return {compression: result for compression, result in judged.items() if result}
