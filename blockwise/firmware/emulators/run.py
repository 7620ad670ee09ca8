"""What a run tells. Operations go by their numbers in the schedule."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Watch:
    """What to look at closely: the instructions of one step (from 0 on), and its loads and stores too."""

    step: int | None = None
    accesses: bool = False


@dataclass(frozen=True)
class Fault:
    """Why a program was stopped: what it did at which address, by which instruction, within what."""

    what: str  # "read", "write", "fetch", or the processor's own words
    address: int | None
    pc: int
    operation: int | None
    function: str

    def __str__(self) -> str:
        where = self.function if self.operation is None else f"operation {self.operation}"
        at = "" if self.address is None else f" at {self.address:#010x}"
        return f"{self.what}{at} by the instruction at {self.pc:#010x} in {where}"


@dataclass(frozen=True)
class Instructions:
    """Of one step: those of each operation, what it calls included, and those between operations."""

    by_operation: Mapping[int, int]
    between: int

    @property
    def total(self) -> int:
        """Of the step."""
        return sum(self.by_operation.values()) + self.between


@dataclass(frozen=True, eq=False)
class Accesses:
    """Loads and stores of one step in order: of each its first address, its bytes and whether it writes.

    ``starts`` and ``operations`` say from which access on which operation runs.
    """

    address: NDArray[np.int64]
    size: NDArray[np.int64]
    write: NDArray[np.bool_]
    starts: NDArray[np.int64]
    operations: tuple[int, ...]


@dataclass(frozen=True)
class Run:
    """How a program ended. ``exit_code`` is None after a fault, or if it was stopped otherwise."""

    exit_code: int | None
    seconds: float
    fault: Fault | None = None
    stack_bytes: int | None = None  # the most that it held, by paint
    instructions: Instructions | None = None
    accesses: Accesses | None = None
