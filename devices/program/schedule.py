"""One training step as an explicit program: operations in order, and the tensors they touch.

A tensor is alive from the first operation that touches it to the last one; a resident tensor is
alive throughout. Everything the memory report says is read off this object.
"""

import contextlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from devices.network import Layer
from devices.program.categories import CATEGORIES, SAVED_ACTIVATIONS, WORKING_TENSORS
from devices.program.operation import LOAD, Operand, Operation, Phase, Stored

ACTIVATION = "activation"
"""Stands for a category until the whole program is known: saved activation or working tensor."""

ACTIVATIONS = (SAVED_ACTIVATIONS, WORKING_TENSORS)


@dataclass(frozen=True)
class Tensor:
    """A buffer of the program. ``shape`` includes the batch; ``bits`` is per element."""

    name: str
    shape: tuple[int, ...]
    bits: int
    category: str
    owner: str
    resident: bool = False
    mapped: bool = False  # it is read in place from flash: it takes no RAM, and is never written

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @cached_property
    def bytes(self) -> int:
        """Size in bytes when densely packed: ceil(elements x bits / 8)."""
        return -(-self.elements * self.bits // 8)

    def of(self, category: str) -> "Tensor":
        """The same in another category."""
        return Tensor(self.name, self.shape, self.bits, category, self.owner, self.resident, self.mapped)

    def aligned_bytes(self, alignment: int) -> int:
        """Size in bytes, rounded up to a multiple of ``alignment`` bytes."""
        return -(-self.bytes // alignment) * alignment


@dataclass(frozen=True)
class Loop:
    """Operations ``first`` .. ``last`` (both included) are run ``passes`` times, in the same buffers.

    A pass takes ``images``; the last one what is left over, if that are fewer: ``left_over`` are the tensors
    that it has in other shapes, by name.
    """

    first: int
    last: int
    passes: int
    images: int = 1
    left_over: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Schedule:
    """Operations in order and the tensors by name."""

    operations: tuple[Operation, ...]
    tensors: dict[str, Tensor]
    layers: dict[str, Layer] = field(default_factory=dict)  # what operations work on, by name
    loops: tuple[Loop, ...] = ()

    @cached_property
    def lifetimes(self) -> dict[str, tuple[int, int]]:
        """First and last operation (both inclusive) at which each tensor is alive in RAM."""
        spans: dict[str, tuple[int, int]] = {}
        for index, operation in enumerate(self.operations):
            for name in (*operation.reads, *operation.writes):
                spans[name] = (spans[name][0] if name in spans else index, index)
        for loop in self.loops:  # what was there before its first pass is read by the last one, too
            for name, (first, last) in spans.items():
                if first < loop.first <= last <= loop.last:
                    spans[name] = (first, loop.last)
        whole = (0, len(self.operations) - 1)
        return {
            name: whole if t.resident else spans[name] for name, t in self.tensors.items() if not t.mapped
        }

    def is_row(self, name: str, loop: Loop | None) -> bool:
        """Whether each pass of ``loop`` takes one image of a tensor that outlives the passes."""
        tensor = self.tensors[name]
        if loop is None or tensor.category not in ACTIVATIONS:
            return False
        return self.lifetimes[name][0] < loop.first and tensor.shape[:1] == (loop.passes,)

    @property
    def mapped_bytes(self) -> int:
        """Bytes that are read in place from flash."""
        return sum(tensor.bytes for tensor in self.tensors.values() if tensor.mapped)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole program; where steps skip some, as many as are expected."""
        return _expected(self.operations)

    @property
    def macs_of_last(self) -> int:
        """Those behind the last batch that is read: where each block reads its own, of the last block."""
        loads = [i for i, operation in enumerate(self.operations) if operation.action == LOAD]
        return _expected(self.operations[loads[-1] if loads else 0 :])

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


def _expected(operations: Iterable[Operation]) -> int:
    return round(sum(operation.macs * operation.share for operation in operations))


class Program:
    """Collects tensors and operations; :meth:`finish` checks them and returns the schedule."""

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._tensors: dict[str, Tensor] = {}
        self._instances: Counter[str] = Counter()
        self._loops: list[Loop] = []
        self.layers: dict[str, Layer] = {}

    def fresh(self, name: str) -> str:
        """``name``, numbered if it was given out before (a recomputed tensor, say)."""
        self._instances[name] += 1
        return name if self._instances[name] == 1 else f"{name}#{self._instances[name]}"

    def tensor(
        self, name: str, shape: tuple[int, ...], bits: int, category: str, owner: str,
        *, resident: bool = False, mapped: bool = False,
    ) -> str:  # fmt: skip
        """Declare a tensor and return its name."""
        if name in self._tensors:
            raise ValueError(f"tensor {name!r} is declared twice")
        self._tensors[name] = Tensor(name, shape, bits, category, owner, resident, mapped)
        return name

    def declared(self, name: str) -> Tensor:
        """A tensor by its name; an activation's category is not settled yet."""
        return self._tensors[name]

    def emit(
        self, action: str, phase: Phase, block: str, *, subject: str = "", layer: str = "",
        operands: Iterable[tuple[str, Operand]] = (), results: Iterable[tuple[str, str]] = (),
        reads: Iterable[str] = (), writes: Iterable[str] = (), scratch: Iterable[str] = (),
        adds: Iterable[str] = (), macs: int = 0, at_rest: bool = False, trains: bool = True, draw: int = 0,
        share: float = 1.0,
    ) -> None:  # fmt: skip
        """Append an operation; ``reads`` and ``writes`` are operands and results without a role."""
        given = (*operands, *(("", Stored(name)) for name in reads))
        made = (*results, *(("", name) for name in writes))
        self._operations.append(
            Operation(
                action,
                phase,
                block,
                subject or layer,
                layer,
                given,
                made,
                tuple(scratch),
                tuple(adds),
                macs,
                at_rest,
                trains,
                draw,
                share,
            )
        )

    @contextlib.contextmanager
    def loop(self, passes: int, images: int = 1) -> Iterator[None]:
        """What is emitted inside is run so many times, on so many images at a time. Once is no loop."""
        first = len(self._operations)
        yield
        if passes > 1:
            self._loops.append(Loop(first, len(self._operations) - 1, passes, images))

    def finish(self) -> Schedule:
        """The schedule. A tensor written going forward and read going backward was saved."""
        kept = self._kept_for_backward()
        tensors = {}
        for name, tensor in self._tensors.items():
            if tensor.category == ACTIVATION:
                tensor = tensor.of(SAVED_ACTIVATIONS if name in kept else WORKING_TENSORS)
            if tensor.category not in CATEGORIES:
                raise ValueError(f"tensor {name!r} has the unknown category {tensor.category!r}")
            tensors[name] = tensor
        self._check_written_before_read()
        return Schedule(tuple(self._operations), tensors, self.layers, tuple(self._loops))

    def _kept_for_backward(self) -> set[str]:
        born: dict[str, Phase] = {}
        read: set[str] = set()
        for operation in self._operations:
            for name in operation.writes:
                born.setdefault(name, operation.phase)
            if operation.phase in ("backward", "recompute"):
                read.update(operation.reads)
        return {name for name in read if born.get(name) != "backward"}

    def _check_written_before_read(self) -> None:
        written = {name for name, tensor in self._tensors.items() if tensor.resident or tensor.mapped}
        for operation in self._operations:
            if not written.issuperset(operation.reads):
                missing = next(name for name in operation.reads if name not in written)
                raise ValueError(f"{operation.name} reads {missing!r} before it is written")
            written.update(operation.writes)
        unused = set(self._tensors) - written
        if unused:
            raise ValueError(f"tensor {min(unused)!r} is never touched")
