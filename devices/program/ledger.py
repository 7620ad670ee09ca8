"""Live bytes at each operation of a schedule, the peak, and what it is made of."""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from devices.program.categories import CATEGORIES
from devices.program.operation import Operation
from devices.program.schedule import Schedule, Tensor


@dataclass(frozen=True)
class Moment:
    """Live bytes while one operation runs; ``by_category`` adds up to ``live_bytes``."""

    operation: Operation
    live_bytes: int
    by_category: dict[str, int]


@dataclass(frozen=True)
class Ledger:
    """The bytes of a schedule on a device that places tensors at multiples of ``alignment``."""

    schedule: Schedule
    alignment: int = 8

    @cached_property
    def _sizes(self) -> dict[str, int]:
        return {name: t.aligned_bytes(self.alignment) for name, t in self.schedule.tensors.items()}

    @cached_property
    def live_bytes(self) -> tuple[int, ...]:
        """Live bytes at each operation, in order."""
        changes = [0] * (len(self.schedule.operations) + 1)
        for name, (first, last) in self.schedule.lifetimes.items():
            size = self._sizes[name]
            changes[first] += size
            changes[last + 1] -= size
        return tuple(accumulate(changes[:-1]))

    @cached_property
    def timeline(self) -> tuple[Moment, ...]:
        """One moment per operation, in order."""
        count = len(self.schedule.operations)
        changes = {category: [0] * (count + 1) for category in CATEGORIES}
        for name, (first, last) in self.schedule.lifetimes.items():
            size, change = self._sizes[name], changes[self.schedule.tensors[name].category]
            change[first] += size
            change[last + 1] -= size
        columns = zip(*(accumulate(changes[category]) for category in CATEGORIES), strict=True)
        rows = zip(self.schedule.operations, self.live_bytes, columns, strict=False)
        return tuple(
            Moment(operation, total, dict(zip(CATEGORIES, column, strict=True)))
            for operation, total, column in rows
        )

    @property
    def peak_bytes(self) -> int:
        """Highest live bytes. Cheap: no timeline is made."""
        return max(self.live_bytes)

    @cached_property
    def peak_index(self) -> int:
        """The first operation at which live bytes are highest."""
        return self.live_bytes.index(self.peak_bytes)

    @property
    def peak(self) -> Moment:
        """The moment of the peak."""
        return self.timeline[self.peak_index]

    def tensors_at(self, index: int) -> tuple[Tensor, ...]:
        """Tensors alive at an operation, largest first."""
        alive = (
            self.schedule.tensors[name]
            for name, (first, last) in self.schedule.lifetimes.items()
            if first <= index <= last
        )
        return tuple(sorted(alive, key=lambda t: (-self._sizes[t.name], t.name)))
