"""Live bytes at each operation of a schedule, the peak, and what it is made of."""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from devices.categories import CATEGORIES
from devices.schedule import Operation, Schedule, Tensor


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
    def timeline(self) -> tuple[Moment, ...]:
        """One moment per operation, in order."""
        count = len(self.schedule.operations)
        changes = {category: [0] * (count + 1) for category in CATEGORIES}
        for name, (first, last) in self.schedule.lifetimes.items():
            tensor = self.schedule.tensors[name]
            size = tensor.aligned_bytes(self.alignment)
            changes[tensor.category][first] += size
            changes[tensor.category][last + 1] -= size
        live = [list(accumulate(changes[category])) for category in CATEGORIES]
        columns = list(zip(*live, strict=True))[:count]
        return tuple(
            Moment(operation, sum(column), dict(zip(CATEGORIES, column, strict=True)))
            for operation, column in zip(self.schedule.operations, columns, strict=True)
        )

    @cached_property
    def peak_index(self) -> int:
        """The first operation at which live bytes are highest."""
        return max(range(len(self.timeline)), key=lambda i: self.timeline[i].live_bytes)

    @property
    def peak(self) -> Moment:
        """The moment of the peak."""
        return self.timeline[self.peak_index]

    def tensors_at(self, index: int) -> tuple[Tensor, ...]:
        """Tensors alive at an operation, largest first."""
        lifetimes = self.schedule.lifetimes
        alive = (
            tensor
            for name, tensor in self.schedule.tensors.items()
            if lifetimes[name][0] <= index <= lifetimes[name][1]
        )
        return tuple(sorted(alive, key=lambda t: (-t.aligned_bytes(self.alignment), t.name)))
