"""Where an element of a view, a permutation or a part stands in what that was made of, as C text.

An index has digits: numbers of which each counts up to a size, the first the slowest. A view puts them
together otherwise, and takes one apart where its dimensions ask for that; a permutation changes their order.
So a channel shuffle is a division and a remainder of the channel, whatever its rows and columns.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from devices.network.ops import Expand, Op, Permute, Slice


@dataclass(frozen=True)
class Digit:
    """A C expression that counts from 0 to ``size`` - 1."""

    text: str
    size: int


Index = list[list[Digit]]
"""For each dimension behind the batch its digits."""


def index_of(shape: Sequence[int]) -> Index:
    """Of element (y, x, c) of a map, a signal or features."""
    names = {1: "c", 2: "cx", 3: "cyx"}[len(shape)]
    return [[Digit(name, size)] for name, size in zip(names, shape, strict=True)]


def before(op: Op, index: Index, shape: Sequence[int]) -> Index:
    """The index in the input, which has ``shape``, of an element of the output."""
    if isinstance(op, Permute):
        return [index[op.dims[1:].index(dim)] for dim in range(1, len(shape) + 1)]
    if isinstance(op, Slice):
        parts = zip(index, shape, op.starts, op.steps, strict=True)
        return [[Digit(f"{start} + {step} * ({written(x)})", size)] for x, size, start, step in parts]
    if isinstance(op, Expand):
        return [x if size > 1 else [] for x, size in zip(index, shape, strict=True)]
    return reshaped(index, shape)


def reshaped(index: Index, shape: Sequence[int]) -> Index:
    """The same element, counted by the dimensions of ``shape``."""
    left = [digit for digits in index for digit in digits if digit.size > 1]
    return [_taken(left, size) for size in reversed(shape)][::-1]


def _taken(left: list[Digit], size: int) -> list[Digit]:
    """The fastest digits, whose sizes are ``size`` together; the last of them may have to be taken apart."""
    found: list[Digit] = []
    while size > 1:
        if size % left[-1].size and left[-1].size % size:  # dimensions that have no digits in common
            left[:] = [Digit(written(left), math.prod(digit.size for digit in left))]
        digit = left.pop()
        if size % digit.size:
            left.append(Digit(f"({digit.text}) / {size}", digit.size // size))
            digit = Digit(f"({digit.text}) % {size}", size)
        found.insert(0, digit)
        size //= digit.size
    return found


def value_of(shape: Sequence[int], sides: Sequence[int]) -> str:
    """Which of the values that stand beside a map as ``sides`` say, in their order, is element (y, x, c)'s.

    Without sides each is one of a channel.
    """
    if not sides:
        return "c"
    index = zip(index_of(shape), sides, strict=True)
    return f"({written([digit for digits, side in index if side > 1 for digit in digits])})"


def written(digits: Sequence[Digit]) -> str:
    """Their number as an expression."""
    if not digits:
        return "0"
    text = digits[0].text
    for digit in digits[1:]:
        text = f"({text}) * {digit.size} + {digit.text}"
    return text


def place(index: Index) -> tuple[str, str, str]:
    """Row, column and channel of the element in a map."""
    texts = [written(digits) for digits in index]
    channel, row, column = {1: (*texts, "0", "0"), 2: (texts[0], "0", texts[-1])}.get(len(texts), texts)
    return row, column, channel
