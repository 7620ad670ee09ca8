"""Random numbers by xorshift32 (Marsaglia 2003, Journal of Statistical Software 8(14)).

One step is linear over GF(2): it multiplies the state, as 32 bits, by a matrix T. The first outputs are sums
of what each byte of the state contributes to them; the outputs m+1 .. 2m are T^m times the outputs 1 .. m.
So a whole tensor of them is made by look-ups and doublings, in the very order of a loop that calls
:func:`step`.
"""

from functools import cache

import torch
from torch import Tensor

WORD = (1 << 32) - 1
GOLDEN = 0x9E3779B9
"""2^32 divided by the golden ratio: apart for neighbouring streams; the state where a seed gives zero."""
FIRST = 8
"""So many doublings are saved by a table of 1 MB."""
LARGEST_LEVELS = 1 << 15
"""Up to here 16 random bits times the number of levels fit 31 bits."""


def step(state: int) -> int:
    """The next state, which is also the next output; ``state`` is 1 .. 2^32 - 1, and so is the result."""
    state ^= state << 13 & WORD
    state ^= state >> 17
    return state ^ state << 5 & WORD


def scramble(seed: int, stream: int = 0) -> int:
    """The first state: seed + stream x golden ratio, mixed by the finalizer of MurmurHash3 (Appleby)."""
    h = (seed + stream * GOLDEN) & WORD
    h = (h ^ h >> 16) * 0x85EBCA6B & WORD
    h = (h ^ h >> 13) * 0xC2B2AE35 & WORD
    return h ^ h >> 16 or GOLDEN


class Xorshift32:
    """A generator whose whole memory is ``state`` (1 .. 2^32 - 1).

    ``seed`` and ``stream`` are taken modulo 2^32; streams of one seed start at unrelated states.
    """

    def __init__(self, seed: int, stream: int = 0) -> None:
        self.state = scramble(seed, stream)

    @classmethod
    def at(cls, word: int) -> "Xorshift32":
        """Where another was left: ``word`` is :attr:`word` of that one, or its state."""
        rng = cls(0)
        rng.state = word & WORD
        return rng

    @property
    def word(self) -> int:
        """The state as an int32 bit pattern, as a tensor of 4 bytes keeps it."""
        return _signed(self.state)

    def draw(self, count: int) -> Tensor:
        """The next ``count`` outputs, in order, as int32 bit patterns (2^31 and above read negative)."""
        out = torch.empty(count, dtype=torch.int32)
        if not count:
            return out
        done, doubling = min(count, 1 << FIRST), FIRST
        out[:done] = _first(self.state)[:done]
        while done < count:
            more = min(done, count - done)
            out[done : done + more] = _jump(out[:more], _tables()[doubling])
            done, doubling = done + more, doubling + 1
        self.state = int(out[-1]) & WORD
        return out

    def bits(self, count: int, width: int) -> Tensor:
        """``count`` numbers 0 .. 2^width - 1: the top ``width`` (1 .. 32) bits of an output each.

        int32, or int64 for 32 bits.
        """
        words = self.draw(count)
        if width == 32:
            return words.to(torch.int64).bitwise_and_(WORD)
        return words.bitwise_right_shift_(32 - width).bitwise_and_((1 << width) - 1)

    def uniform(self, count: int, levels: int) -> Tensor:
        """``count`` numbers 0 .. levels - 1: (top 16 bits x levels) >> 16, int32; levels <= 2^15."""
        if not 1 <= levels <= LARGEST_LEVELS:
            raise ValueError(f"levels: got {levels}, wanted 1 .. {LARGEST_LEVELS}")
        return self.bits(count, 16).mul_(levels).bitwise_right_shift_(16)


@cache
def _contributions() -> Tensor:
    """What each value of each byte of a state contributes to its first outputs, int32 (4, 256, 2^FIRST)."""
    state = torch.arange(256, dtype=torch.int32) << torch.arange(0, 32, 8, dtype=torch.int32)[:, None]
    found = []
    for _ in range(1 << FIRST):
        state = state ^ state << 13
        state = state ^ state >> 17 & (1 << 15) - 1  # a logical shift
        state = state ^ state << 5
        found.append(state)
    return torch.stack(found, 2)


def _first(state: int) -> Tensor:
    """The first 2^FIRST outputs behind a state."""
    parts = _contributions()
    result = parts[0, state & 255].clone()
    for byte in range(1, 4):
        result ^= parts[byte, state >> 8 * byte & 255]
    return result


def _signed(word: int) -> int:
    """The int32 with these 32 bits."""
    return word - (1 << 32) if word >> 31 else word


@cache
def _tables() -> list[Tensor]:
    """For k = 0 .. 31 the tables (4, 256) of T^(2^k): what each value of each byte contributes."""
    columns = [step(1 << bit) for bit in range(32)]
    tables = []
    for _ in range(32):
        tables.append(torch.tensor([[_signed(v) for v in row] for row in _by_byte(columns)]).int())
        columns = [_times(columns, column) for column in columns]
    return tables


def _times(columns: list[int], vector: int) -> int:
    """Matrix, given by its columns, times vector, over GF(2)."""
    result = 0
    for bit, column in enumerate(columns):
        if vector >> bit & 1:
            result ^= column
    return result


def _by_byte(columns: list[int]) -> list[list[int]]:
    """For each byte, the sums of its eight columns that its 256 values select."""
    tables = []
    for first in range(0, 32, 8):
        table = [0]
        for column in columns[first : first + 8]:
            table += [column ^ earlier for earlier in table]
        tables.append(table)
    return tables


def _jump(words: Tensor, tables: Tensor) -> Tensor:
    """A power of T times every word."""
    result = tables[0].index_select(0, words & 255)
    for byte in range(1, 4):
        result ^= tables[byte].index_select(0, words >> 8 * byte & 255)
    return result
