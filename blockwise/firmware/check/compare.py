"""Where a program's state is another one than the reference's, for the first time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blockwise.firmware.check.reference import Exchange
from devices.program.schedule import Tensor

START = -1
"""The step of a difference that is there before the first one."""


@dataclass(frozen=True)
class Difference:
    """The first element that differs, in the board's order; values are the bits as a whole number.

    ``elements`` is how many of the tensor do.
    """

    step: int
    tensor: str
    element: int
    got: int
    wanted: int
    elements: int

    def __str__(self) -> str:
        when = "before the first step" if self.step == START else f"after step {self.step}"
        return (
            f"{self.tensor}[{self.element}] is {self.got:#x} instead of {self.wanted:#x} {when}"
            f" ({self.elements} element(s) of it differ)"
        )


@dataclass(frozen=True)
class Compared:
    """How many steps were compared, and the first difference; ``missing``: whether the output ended early."""

    steps: int
    difference: Difference | None
    missing: bool
    predictions: int = 0  # of test images, behind the last step


def compared(tensors: Sequence[Tensor], exchanges: Sequence[Exchange], output: bytes) -> Compared:
    """Hold check.out against what had to be answered."""
    steps, predictions, at = 0, 0, 0
    for exchange in exchanges:
        if exchange.state is None:
            continue
        named = exchange.tensors or tensors
        size = sum(tensor.bytes for tensor in named)
        answer, at = output[at : at + size], at + size
        if len(answer) < size:
            return Compared(steps, None, missing=True)
        steps += exchange.step
        difference = next(_differences(named, exchange, answer, steps - 1 if steps else START), None)
        if difference is not None:
            return Compared(steps, difference, missing=False)
        predictions += bool(exchange.tensors)
    return Compared(steps, None, missing=len(output) < at, predictions=predictions)


def _differences(
    tensors: Sequence[Tensor], exchange: Exchange, answer: bytes, step: int
) -> Iterator[Difference]:
    at = 0
    for tensor, wanted in zip(tensors, exchange.state or (), strict=True):
        got, at = answer[at : at + tensor.bytes], at + tensor.bytes
        if got != wanted and tensor.name not in exchange.unknown:
            rows = _elements(got, tensor), _elements(wanted, tensor)
            differs = np.flatnonzero((rows[0] != rows[1]).any(1))
            # bits behind the last element are none of its, but they have to be the same too
            first = int(differs[0]) if len(differs) else tensor.elements
            seen, meant = (_value(row[first : first + 1].ravel()) for row in rows)
            yield Difference(step, tensor.name, first, seen, meant, len(differs))


def _elements(payload: bytes, tensor: Tensor) -> NDArray[np.uint8]:
    """A row of bits for each element, low bits first."""
    bits = np.unpackbits(np.frombuffer(payload, np.uint8), bitorder="little")
    return bits[: tensor.elements * tensor.bits].reshape(tensor.elements, tensor.bits)


def _value(bits: NDArray[np.uint8]) -> int:
    return int(sum(int(bit) << place for place, bit in enumerate(bits)))
