"""Placing buffers in the RAM of a board, which may be several runs of addresses that do not touch.

Each buffer lies in one run. The runs are laid end to end, with a wall between any two of them, and
the rules of :mod:`devices.memory.arena.rules` fill this line: small runs first, because the largest is the
only home for large buffers. The largest comes last and has no end, so that a plan that does not fit
shows by how much.

The reserve for stack and system takes the end of the smallest run that holds it in one piece: a
small run is of least use to tensors, and the longer ones stay whole. Where buffers then have no place, that
of the next larger one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate, islice, pairwise, permutations
from types import MappingProxyType

from devices.boards.profile import Device
from devices.errors import InputError
from devices.memory.arena import rules, solver
from devices.memory.arena.buffers import Arena, Buffer, buffers_of, peak_of
from devices.memory.arena.items import Integers, Items, items_of
from devices.memory.arena.limits import NOWHERE, Walls
from devices.memory.arena.planner import check, pack
from devices.program.schedule import Schedule

ORDERS_OF_RUNS = 6
"""How many orders of the smaller runs are tried."""


@dataclass(frozen=True)
class RamRun:
    """RAM regions that touch; ``start`` is the first address, None where the board's is not known."""

    name: str
    start: int | None
    size_bytes: int
    reserve_bytes: int = 0  # of its end, kept free

    def room(self, alignment: int) -> int:
        """Bytes that buffers may use."""
        return max(0, self.size_bytes - self.lead(alignment) - self.reserve_bytes)

    def lead(self, alignment: int) -> int:
        """Bytes before the first aligned address."""
        return -(self.start or 0) % alignment


@dataclass(frozen=True)
class Location:
    """Where a buffer lies: its run, the offset there, and the address if the run's is known."""

    run: str
    offset: int
    address: int | None


@dataclass(frozen=True)
class Placement:
    """A place for every buffer. If it does not fit, the largest run is ``missing_bytes`` too short."""

    buffers: tuple[Buffer, ...]
    runs: tuple[RamRun, ...]
    places: dict[str, Location]
    alignment: int
    bound: int  # peak of live bytes: as in Arena in one run, without padding in several
    missing_bytes: int  # beyond the largest run, in the best plan that was found
    proven: bool  # whether it fits, or it is proven that no plan does
    method: str

    @property
    def fits(self) -> bool:
        """Whether every buffer lies within its run."""
        return self.missing_bytes == 0

    @property
    def capacity(self) -> int:
        """Bytes that buffers may use, in all runs together."""
        return sum(run.room(self.alignment) for run in self.runs)


def runs_of(
    device: Device, reserve_bytes: int = 0, taken: Mapping[str, int] = MappingProxyType({})
) -> tuple[RamRun, ...]:
    """The board's runs, the reserve taken off the smallest that holds it beside the bytes ``taken`` of it.

    Where none has so much left, off the smallest that could hold it. Raises InputError if no run can.
    """
    arrangements = _arrangements(device, reserve_bytes)
    return next((runs for runs in arrangements if _leaves(runs, taken)), arrangements[0])


def _leaves(runs: Iterable[RamRun], taken: Mapping[str, int]) -> bool:
    """Whether the run with the reserve has as much left."""
    return all(taken.get(r.name, 0) <= r.size_bytes - r.reserve_bytes for r in runs if r.reserve_bytes)


def _arrangements(device: Device, reserve_bytes: int) -> list[tuple[RamRun, ...]]:
    """The runs with the reserve in each that holds it, the smallest of these first."""
    runs = [
        RamRun("+".join(r.name for r in run), run[0].start, sum(r.size_bytes for r in run))
        for run in device.runs
    ]
    longest = max(run.size_bytes for run in runs)
    if not 0 <= reserve_bytes <= longest:
        raise InputError(
            "reserve", got=f"{reserve_bytes} bytes", do="correct it",
            wanted=f"0 to {longest}, the longest run of {device.name}",
        )  # fmt: skip
    holders = sorted((r for r in runs if r.size_bytes >= reserve_bytes), key=lambda r: r.size_bytes)
    return [
        tuple(replace(r, reserve_bytes=reserve_bytes) if r is holder else r for r in runs)
        for holder in (holders if reserve_bytes else holders[:1])
    ]


def place_on(
    what: Schedule | Iterable[Buffer], device: Device, reserve_bytes: int = 0,
    *, time_limit: float = 0.0, seed: int = 0, workers: int = 2,
) -> Placement:  # fmt: skip
    """Place a schedule's tensors, or buffers, in the board's RAM, ``reserve_bytes`` of it left free.

    Not fitting is a result, not an error. ``time_limit``, ``seed`` and ``workers`` as in
    :func:`devices.memory.arena.pack`. Raises InputError for names that occur twice, or a reserve that no
    run holds.
    """
    alignment = device.alignment_bytes
    buffers = buffers_of(what, alignment) if isinstance(what, Schedule) else tuple(what)
    check(buffers, alignment)
    first: Placement | None = None
    proven = True
    for runs in _arrangements(device, reserve_bytes):
        found = _placed(buffers, runs, alignment, time_limit, seed, workers)
        if found.fits:
            return found
        first, proven = first or found, proven and found.proven
    assert first is not None  # some run holds the reserve
    return replace(first, proven=proven)


def _placed(
    buffers: tuple[Buffer, ...], runs: tuple[RamRun, ...], alignment: int, time_limit: float, seed: int,
    workers: int,
) -> Placement:  # fmt: skip
    """Place ``buffers`` in one run if they fit there, or in several."""
    largest = _largest(runs, alignment)
    alone = largest.room(alignment)
    single = sum(run.room(alignment) > 0 for run in runs) <= 1
    seconds = time_limit if single else 0.0
    arena = _packed(buffers, alignment, seed, workers)
    if arena.height > alone and (arena.proven_bound <= alone or seconds):
        told = pack(buffers, alignment, capacity=alone, time_limit=seconds, seed=seed, workers=workers)
        proven_bound = max(arena.proven_bound, told.proven_bound)
        arena = replace(min(arena, told, key=lambda a: a.height), proven_bound=proven_bound)
    if arena.height <= alone or single:
        places = {name: _place(largest, offset, alignment) for name, offset in arena.offsets.items()}
        missing = max(0, arena.height - alone)
        proven = not missing or arena.proven_bound > alone
        return Placement(buffers, runs, places, alignment, arena.bound, missing, proven, arena.method)
    return _across(buffers, runs, alignment, time_limit, seed, workers)


@lru_cache(maxsize=64)
def _packed(buffers: tuple[Buffer, ...], alignment: int, seed: int, workers: int) -> Arena:
    """In one stretch of memory: the same for every board."""
    return pack(buffers, alignment, seed=seed, workers=workers)


def _largest(runs: Sequence[RamRun], alignment: int) -> RamRun:
    return max(runs, key=lambda run: run.room(alignment))


def _place(run: RamRun, offset: int, alignment: int) -> Location:
    offset += run.lead(alignment)
    return Location(run.name, offset, None if run.start is None else run.start + offset)


@dataclass(frozen=True)
class _RunLine:
    """Runs end to end, a wall between any two that ends at an aligned place; the last has no end."""

    runs: tuple[RamRun, ...]
    alignment: int

    @property
    def starts(self) -> list[int]:
        lengths = (run.room(self.alignment) // self.alignment + 1 for run in self.runs[:-1])
        return list(accumulate((length * self.alignment for length in lengths), initial=0))

    @property
    def walls(self) -> Walls:
        starts = self.starts
        rooms = (run.room(self.alignment) for run in self.runs)
        return tuple((start + room, end) for (start, end), room in zip(pairwise(starts), rooms, strict=False))

    @property
    def end(self) -> int:
        return self.starts[-1] + self.runs[-1].room(self.alignment)

    def place(self, position: int) -> Location:
        """Where this position of the line is on the board."""
        number = max(n for n, start in enumerate(self.starts) if start <= position)
        return _place(self.runs[number], position - self.starts[number], self.alignment)


def _lines(runs: Sequence[RamRun], alignment: int) -> Iterator[_RunLine]:
    """The largest run last, the smaller ones before it from small to large and in other orders."""
    largest = _largest(runs, alignment)
    usable = (run for run in runs if run is not largest and run.room(alignment))
    smaller = sorted(usable, key=lambda run: run.room(alignment))
    for order in islice(permutations(smaller), ORDERS_OF_RUNS):
        yield _RunLine((*order, largest), alignment)


def _across(
    buffers: tuple[Buffer, ...], runs: tuple[RamRun, ...], alignment: int, time_limit: float, seed: int,
    workers: int,
) -> Placement:  # fmt: skip
    """Place ``buffers`` in several runs."""
    solid = [b for b in buffers if not b.empty]
    items, lines = items_of(solid, alignment), list(_lines(runs, alignment))
    rooms, bound = [run.room(alignment) for run in runs], peak_of(buffers, 1)
    hopeless = bound > sum(rooms) or _hopeless(items, rooms)
    best: tuple[int, _RunLine, Integers, str] | None = None
    for line in lines[:1] if hopeless else lines:
        ceiling = best[0] + line.end if best else NOWHERE
        for method, offsets, height in rules.plans(items, line.end, line.walls, ceiling):
            best = (height - line.end, line, offsets, method)
        if best and best[0] <= 0:
            break
    assert best is not None  # below no ceiling every rule but one finds a plan
    missing, line, offsets, method = best
    proven = hopeless or missing <= 0
    if not proven and time_limit and solver.available():
        answer = solver.solve(
            items, line.end, offsets, seconds=time_limit, workers=workers, seed=seed, walls=line.walls
        )
        if answer.offsets is not None:
            offsets, method = answer.offsets, "CP-SAT"
            missing = items.height(offsets) - line.end
        proven = missing <= 0 or answer.bound > line.end
    positions = dict(zip((b.name for b in solid), offsets.tolist(), strict=True))
    places = {b.name: line.place(positions.get(b.name, 0)) for b in buffers}
    return Placement(buffers, runs, places, alignment, bound, max(0, missing), proven, method)


def _hopeless(items: Items, rooms: Sequence[int]) -> bool:
    """Whether a buffer is too large for any run, or those that live together for all runs.

    The uppermost buffer of each run does without its padding, which is at most the largest one's.
    """
    alike = items.alignment
    room = sum((room + items.tallest_tail) // alike * alike for room in rooms if room)
    return bool(items.size.max() > max(rooms) or (items.live > room).any())
