"""Training on integers alone: the arithmetic, bit for bit as docs/integer-arithmetic.md defines it."""

from blockwise.integer.tensor import INT4, INT8, UINT4, Accumulator, Format, IntTensor
from blockwise.integer.xorshift import Xorshift32

__all__ = ["INT4", "INT8", "UINT4", "Accumulator", "Format", "IntTensor", "Xorshift32"]
