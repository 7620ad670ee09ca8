"""What a run tells. Operations go by their numbers in the schedule."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Watch:
    """What to look at closely: the instructions of steps (from 0 on), and their loads and stores too."""

    steps: frozenset[int] = frozenset()
    accesses: bool = False


NOTHING = Watch()
"""Run, and look at no step."""


@dataclass(frozen=True)
class Fault:
    """Why a program was stopped: what it did at which address, by which instruction, within what.

    ``region`` says what lies at the address, if the emulator tells.
    """

    what: str  # "read", "write", "fetch", or the processor's own words
    address: int | None
    pc: int
    operation: int | None
    function: str
    region: str = ""

    def __str__(self) -> str:
        where = self.function if self.operation is None else f"operation {self.operation}"
        at = "" if self.address is None else f" at {self.address:#010x}"
        at += f", {self.region}," if self.region else ""
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
    strayed: int | None = None  # the first address beside tensors and reserve that was written
    instructions: Mapping[int, Instructions] = field(default_factory=dict)  # by step
    accesses: Mapping[int, Accesses] = field(default_factory=dict)
