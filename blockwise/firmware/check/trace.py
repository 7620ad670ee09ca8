"""Live bytes measured by the loads and stores of a step, beside those that the plan says.

A byte is alive from the operation that writes it to the last one that reads it before it is written again;
while an operation touches it, it is alive in any case. What outlives a step is alive throughout. So a plan
that keeps a tensor too long, or frees it too early, is found, as is an operation that touches what it does
not name. All of it is arithmetic on arrays: of each operation the bytes that it reads before it writes them,
and those that it writes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from blockwise.firmware.check.bytes_of import Integers, Mask, PlannedBytes
from blockwise.firmware.emulators.run import Accesses


@dataclass(frozen=True)
class LiveBytes:
    """At one operation: bytes that were alive and that the plan says, both without rounding up.

    A plan keeps whole tensors, and of some that are needed a few bytes are not: ``idle`` counts them by
    tensor. The two differ if a tensor is kept of which nothing is needed, or something else is needed.
    """

    operation: int
    name: str
    traced: int
    planned: int
    idle: tuple[tuple[str, int], ...] = ()
    wrong: tuple[str, ...] = ()  # a line for each difference


@dataclass(frozen=True)
class Stranger:
    """An operation touched what it does not name: the first such byte, in words."""

    operation: int
    name: str
    what: str  # "reads" or "writes"
    byte: str


@dataclass(frozen=True)
class Traced:
    """One step, operation by operation; ``skipped`` are numbers of those that lie between but did not run."""

    live: tuple[LiveBytes, ...]
    strangers: tuple[Stranger, ...]
    skipped: tuple[int, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether every operation keeps and touches the planned bytes."""
        found = (self.strangers, self.skipped, [moment for moment in self.live if moment.wrong])
        return bool(self.live) and not any(found)

    @property
    def peak_bytes(self) -> int:
        """The most that were alive at once."""
        return max((moment.traced for moment in self.live), default=0)


@dataclass(frozen=True)
class _Turn:
    """One run of an operation: the bytes that it reads before it writes them, and those that it writes.

    ``beside`` is the first address, by "reads" and "writes", that is RAM of neither tensors nor reserve.
    """

    operation: int
    incoming: Integers
    written: Integers
    beside: dict[str, int]


def traced(accesses: Accesses, planned: PlannedBytes) -> Traced:
    """What a step's accesses say of the plan."""
    if not accesses.operations:
        return Traced((), ())
    turns = list(_turns(accesses, planned))
    ran = {turn.operation for turn in turns}
    skipped = tuple(number for number in range(min(ran), max(ran)) if number not in ran)
    strangers = tuple(stranger for turn in turns for stranger in _strangers(turn, planned))
    return Traced(tuple(_live(turns, planned)), _first_of_each(strangers), skipped)


def _turns(accesses: Accesses, planned: PlannedBytes) -> Iterator[_Turn]:
    ends = [*accesses.starts[1:].tolist(), len(accesses.address)]
    for operation, start, end in zip(accesses.operations, accesses.starts.tolist(), ends, strict=True):
        piece = slice(start, end)
        yield _turn(operation, accesses.address[piece], accesses.size[piece], accesses.write[piece], planned)


def _turn(operation: int, address: Integers, size: Integers, write: Mask, planned: PlannedBytes) -> _Turn:
    """Bytes of words one by one, in the order of the accesses; the first one decides what a byte is."""
    bytes_in_order = np.repeat(address, size) + _within(size)
    writes = np.repeat(write, size)
    numbers = planned.numbers(bytes_in_order)
    beside = {
        what: int(found[0])
        for what, kind in (("writes", writes), ("reads", ~writes))
        if len(found := planned.beside(bytes_in_order[kind]))
    }
    numbers, writes = numbers[numbers >= 0], writes[numbers >= 0]
    first_writes = np.ones(planned.count, np.bool_)
    first_writes[numbers[::-1]] = writes[::-1]  # of equal numbers the last assignment stays: the first access
    return _Turn(operation, np.flatnonzero(~first_writes), np.unique(numbers[writes]), beside)


def _within(sizes: Integers) -> Integers:
    """0, 1, .. size - 1 for each size, one behind the other."""
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) - np.repeat(ends - sizes, sizes)


def _live(turns: list[_Turn], planned: PlannedBytes) -> Iterator[LiveBytes]:
    """Backward through the step: what is needed behind an operation, and what it needs itself."""
    whole = planned.mask(_throughout(turns, planned))
    needed = np.zeros(planned.count, np.bool_)
    alive: dict[int, Mask] = {}
    for turn in reversed(turns):
        here = whole | needed
        here[turn.incoming] = here[turn.written] = True
        alive[turn.operation] = alive.get(turn.operation, np.zeros_like(here)) | here
        needed[turn.written] = False
        needed[turn.incoming] = True
    for operation, mask in sorted(alive.items()):
        plan = planned.mask(planned.alive(operation))
        name = planned.schedule.operations[operation].name
        idle = tuple(_idle(mask, operation, planned))
        wrong = tuple(_wrong(mask & ~plan, idle, operation, planned))
        yield LiveBytes(operation, name, int(mask.sum()), int(plan.sum()), idle, wrong)


def _throughout(turns: list[_Turn], planned: PlannedBytes) -> Iterator[str]:
    """What outlives the step: resident tensors, and those that live around a step that is a part."""
    ran = [turn.operation for turn in turns]
    for name, (first, last) in planned.schedule.lifetimes.items():
        if planned.schedule.tensors[name].resident or (first < min(ran) and last > max(ran)):
            yield name


def _idle(mask: Mask, operation: int, planned: PlannedBytes) -> Iterator[tuple[str, int]]:
    """Bytes of planned tensors that are neither touched nor needed later."""
    for name in planned.alive(operation):
        missing = int((~mask[planned.span(name)]).sum())
        if missing:
            yield name, missing


def _wrong(
    beyond: Mask, idle: tuple[tuple[str, int], ...], operation: int, planned: PlannedBytes
) -> Iterator[str]:
    for name, count in idle:
        if count == planned.schedule.tensors[name].bytes:
            yield f"{name} is kept, but nothing of it is needed"
    if beyond.any():
        first = planned.told(int(beyond.argmax()), operation)
        yield f"{int(beyond.sum())} more bytes are needed, from {first}"


def _strangers(turn: _Turn, planned: PlannedBytes) -> Iterator[Stranger]:
    operation = planned.schedule.operations[turn.operation]
    named = {"writes": operation.writes, "reads": (*operation.reads, *operation.writes)}
    for what, numbers in (("writes", turn.written), ("reads", turn.incoming)):
        others = numbers[~planned.mask(named[what])[numbers]]
        if len(others):
            yield Stranger(turn.operation, operation.name, what, planned.told(int(others[0]), turn.operation))
        elif what in turn.beside:
            byte = planned.told_beside(turn.beside[what], turn.operation)
            yield Stranger(turn.operation, operation.name, what, byte)


def _first_of_each(strangers: tuple[Stranger, ...]) -> tuple[Stranger, ...]:
    return tuple({(s.operation, s.what): s for s in reversed(strangers)}.values())[::-1]
