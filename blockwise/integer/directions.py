"""Random directions of zeroth-order steps, as docs/integer-arithmetic.md defines them: drawn again, not held.

A direction has a number, counted from 0 over the whole training, and each tensor that goes along it a number
of its own. From both, and the seed, follows the first state of a generator, so that no state is kept.
"""

import torch
from torch import Tensor

from blockwise.integer.xorshift import Xorshift32, scramble

FIRST_STREAM = 1 << 16
"""Behind the streams of layers, of which first weights and jumps are drawn."""


def generator(seed: int, tensor: int, direction: int) -> Xorshift32:
    """That of tensor number ``tensor`` in direction number ``direction``, at its start."""
    return Xorshift32(scramble(seed, FIRST_STREAM + tensor), direction)


def signs(rng: Xorshift32, count: int) -> Tensor:
    """-1 or 1, int8 (count,): the top bit of an output each, 0 for 1 and 1 for -1."""
    return 1 - 2 * rng.bits(count, 1).to(torch.int8)


def whole_numbers(rng: Xorshift32, count: int, largest: int) -> Tensor:
    """-largest .. largest, int8 (count,), uniform."""
    return rng.uniform(count, 2 * largest + 1).sub_(largest).to(torch.int8)
