"""One training step as an explicit program: operations in order, and the tensors they touch.

A tensor is alive from the first operation that touches it to the last one; a resident tensor is
alive throughout. Everything the memory report says is read off this object.
"""

import dataclasses
import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from devices.program.categories import CATEGORIES, SAVED_ACTIVATIONS, WORKING_TENSORS

Phase = Literal["load", "forward", "recompute", "backward", "update", "pack", "page in", "page out"]
ACTIVATION = "activation"
"""Stands for a category until the whole program is known: saved activation or working tensor."""


@dataclass(frozen=True)
class Tensor:
    """A buffer of the program. ``shape`` includes the batch; ``bits`` is per element."""

    name: str
    shape: tuple[int, ...]
    bits: int
    category: str
    owner: str
    resident: bool = False

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes when densely packed: ceil(elements x bits / 8)."""
        return -(-self.elements * self.bits // 8)

    def aligned_bytes(self, alignment: int) -> int:
        """Size in bytes, rounded up to a multiple of ``alignment`` bytes."""
        return -(-self.bytes // alignment) * alignment


@dataclass(frozen=True)
class Operation:
    """A step of the program. Tensors are named; scratch is a tensor that only it touches."""

    name: str
    phase: Phase
    block: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    macs: int = 0  # multiply-accumulates, whole batch
    layer: str = ""  # the layer it works on, if one alone


@dataclass(frozen=True)
class Schedule:
    """Operations in order and the tensors by name."""

    operations: tuple[Operation, ...]
    tensors: dict[str, Tensor]

    @cached_property
    def lifetimes(self) -> dict[str, tuple[int, int]]:
        """First and last operation (both inclusive) at which each tensor is alive."""
        spans: dict[str, tuple[int, int]] = {}
        for index, operation in enumerate(self.operations):
            for name in (*operation.reads, *operation.writes):
                spans[name] = (spans[name][0] if name in spans else index, index)
        whole = (0, len(self.operations) - 1)
        return {name: whole if t.resident else spans[name] for name, t in self.tensors.items()}

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole program."""
        return sum(operation.macs for operation in self.operations)

    @property
    def flash_read_bytes(self) -> int:
        """Bytes that are read from flash, densely packed."""
        return self._paged("page in")

    @property
    def flash_written_bytes(self) -> int:
        """Bytes that are written to flash, densely packed."""
        return self._paged("page out")

    def _paged(self, phase: Phase) -> int:
        moved = (o.writes if phase == "page in" else o.reads for o in self.operations if o.phase == phase)
        return sum(self.tensors[name].bytes for names in moved for name in names)


class Program:
    """Collects tensors and operations; :meth:`finish` checks them and returns the schedule."""

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._tensors: dict[str, Tensor] = {}
        self._instances: Counter[str] = Counter()

    def fresh(self, name: str) -> str:
        """``name``, numbered if it was given out before (a recomputed tensor, say)."""
        self._instances[name] += 1
        return name if self._instances[name] == 1 else f"{name}#{self._instances[name]}"

    def tensor(
        self, name: str, shape: tuple[int, ...], bits: int, category: str, owner: str,
        *, resident: bool = False,
    ) -> str:  # fmt: skip
        """Declare a tensor and return its name."""
        if name in self._tensors:
            raise ValueError(f"tensor {name!r} is declared twice")
        self._tensors[name] = Tensor(name, shape, bits, category, owner, resident)
        return name

    def declared(self, name: str) -> Tensor:
        """A tensor by its name; an activation's category is not settled yet."""
        return self._tensors[name]

    def emit(
        self, name: str, phase: Phase, block: str, *, reads: tuple[str, ...] = (),
        writes: tuple[str, ...] = (), macs: int = 0, layer: str = "",
    ) -> None:  # fmt: skip
        """Append an operation."""
        self._operations.append(Operation(name, phase, block, reads, writes, macs, layer))

    def finish(self) -> Schedule:
        """The schedule. A tensor written going forward and read going backward was saved."""
        kept = self._kept_for_backward()
        tensors = {}
        for name, tensor in self._tensors.items():
            if tensor.category == ACTIVATION:
                category = SAVED_ACTIVATIONS if name in kept else WORKING_TENSORS
                tensor = dataclasses.replace(tensor, category=category)
            if tensor.category not in CATEGORIES:
                raise ValueError(f"tensor {name!r} has the unknown category {tensor.category!r}")
            tensors[name] = tensor
        self._check_written_before_read()
        return Schedule(tuple(self._operations), tensors)

    def _kept_for_backward(self) -> set[str]:
        born: dict[str, Phase] = {}
        kept: set[str] = set()
        for operation in self._operations:
            for name in operation.writes:
                born.setdefault(name, operation.phase)
            if operation.phase in ("backward", "recompute"):
                kept |= {n for n in operation.reads if born.get(n) != "backward"}
        return kept

    def _check_written_before_read(self) -> None:
        written = {name for name, tensor in self._tensors.items() if tensor.resident}
        touched = set(written)
        for operation in self._operations:
            missing = [name for name in operation.reads if name not in written]
            if missing:
                raise ValueError(f"{operation.name} reads {missing[0]!r} before it is written")
            written.update(operation.writes)
            touched.update(operation.reads, operation.writes)
        unused = set(self._tensors) - touched
        if unused:
            raise ValueError(f"tensor {min(unused)!r} is never touched")
