"""The other side of a check: what a program is told, and what it has to hold then.

Integers come from the simulation, which the board has to equal bit for bit; floats from the same C on this
computer. The check knows bytes only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from blockwise.firmware.check import records
from devices.program.categories import WORKING_TENSORS
from devices.program.schedule import Tensor


@dataclass(frozen=True)
class Exchange:
    """What is sent, one record of check.in, and the state that has to be answered: bytes of each tensor.

    ``state`` is None where nothing is answered. ``step`` says whether it is a step of training; ``tensors``
    what is answered, where that is not all that outlives a step. ``unknown`` are those of them in whose bytes
    other tensors lie then.
    """

    sent: bytes
    state: tuple[bytes, ...] | None
    step: bool = True
    tensors: tuple[Tensor, ...] = ()
    unknown: frozenset[str] = frozenset()


class Reference(Protocol):
    """What a training does, as a board's program has to."""

    @property
    def tensors(self) -> Sequence[Tensor]:
        """What outlives a step, in the order of the project's own table."""

    def exchanges(self, steps: int) -> Iterator[Exchange]:
        """The start, and so many steps; bytes in the board's order."""


def class_of(number: int) -> tuple[Tensor, ...]:
    """What is answered where a test image is to be predicted."""
    return (Tensor(f"class of test image {number}", (1,), 8 * records.WORD_BYTES, WORKING_TENSORS, ""),)
