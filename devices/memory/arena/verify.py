"""An independent look at a plan: what is wrong with it, in words.

It shares no code with the planner, on purpose: it knows neither its units nor its order of things,
and compares the buffers of each region pair by pair.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol


class Placeable(Protocol):
    """A buffer: ``size`` bytes in the half-open time [lower, upper)."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def lower(self) -> int: ...
    @property
    def upper(self) -> int: ...


def violations(
    buffers: Iterable[Placeable],
    places: Mapping[str, tuple[int, int]],
    regions: Sequence[tuple[int, int]],
    *,
    alignment: int = 1,
    reserve_bytes: int = 0,
) -> list[str]:
    """Everything that is wrong with a plan; an empty list is a plan that works.

    ``places`` gives for each buffer the number of its region and the offset in it, ``regions`` the
    start address and the size of each (bytes). At the end of one region ``reserve_bytes`` must stay
    free. A buffer without bytes or without time needs a place, but takes no room there.
    """
    listed = list(buffers)
    wrong = [f"{b.name}: no place" for b in listed if b.name not in places]
    wrong += [f"{name}: a place, but no such buffer" for name in places.keys() - {b.name for b in listed}]
    by_region: dict[int, list[tuple[int, Placeable]]] = {}
    for buffer in listed:
        if buffer.name not in places:
            continue
        region, offset = places[buffer.name]
        if not 0 <= region < len(regions):
            wrong.append(f"{buffer.name}: region {region} does not exist")
            continue
        start, size = regions[region]
        if (start + offset) % alignment:
            wrong.append(f"{buffer.name}: address {start + offset} is not a multiple of {alignment}")
        if buffer.size == 0 or buffer.upper == buffer.lower:
            continue
        if offset < 0 or offset + buffer.size > size:
            wrong.append(f"{buffer.name}: {offset}..{offset + buffer.size} is outside of {size} bytes")
        by_region.setdefault(region, []).append((offset, buffer))
    for tenants in by_region.values():
        wrong += _overlaps(tenants)
    if reserve_bytes and not _reserve_is_free(by_region, regions, reserve_bytes):
        wrong.append(f"no region keeps {reserve_bytes} bytes free at its end")
    return wrong


def _overlaps(tenants: list[tuple[int, Placeable]]) -> list[str]:
    """Pairs that share an address at some time. By address, so that only neighbours are compared."""
    tenants = sorted(tenants, key=lambda tenant: tenant[0])
    wrong = []
    for index, (offset, buffer) in enumerate(tenants):
        end = offset + buffer.size
        for other_offset, other in tenants[index + 1 :]:
            if other_offset >= end:
                break
            if buffer.lower < other.upper and other.lower < buffer.upper:
                wrong.append(f"{buffer.name} and {other.name} overlap at {other_offset}")
    return wrong


def _reserve_is_free(
    by_region: Mapping[int, list[tuple[int, Placeable]]], regions: Sequence[tuple[int, int]], reserve: int
) -> bool:
    for number, (_, size) in enumerate(regions):
        used = max((offset + b.size for offset, b in by_region.get(number, ())), default=0)
        if size - used >= reserve:
            return True
    return False
