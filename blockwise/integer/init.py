"""First weights: Xavier uniform (Glorot & Bengio 2010), on integers.

Uniform mantissas over the whole range, and the exponent ceil(log2 a) - magnitude bits of the bound
a = sqrt(6 / (fan in + fan out)): as in NITI, the largest mantissa stands for a rounded up to a power of
two.
"""

from math import prod

import torch

from blockwise.integer.residue import LEVELS, LOW, ResidueWeights
from blockwise.integer.tensor import INT4, INT8, Format, IntTensor
from blockwise.integer.xorshift import Xorshift32


def xavier(shape: tuple[int, ...], rng: Xorshift32, form: Format = INT8) -> IntTensor:
    """Weights (O, C) or (O, C, kh, kw): one random number each, in row-major order."""
    levels = form.high - form.low + 1
    mantissa = rng.uniform(prod(shape), levels).add_(form.low).to(torch.int8).view(shape)
    return IntTensor(mantissa, xavier_exponent(shape, form), form)


def xavier_residue(shape: tuple[int, ...], rng: Xorshift32) -> ResidueWeights:
    """int4 weights with their residues, uniform over all bytes that they may have."""
    byte = rng.uniform(prod(shape), LEVELS).add_(LOW).to(torch.int8).view(shape)
    return ResidueWeights(byte, xavier_exponent(shape, INT4))


def xavier_exponent(shape: tuple[int, ...], form: Format, groups: int = 1) -> int:
    """ceil(log2 sqrt(6 / fans)) - magnitude bits, where fans = (O + C) kh kw, both counted in a group."""
    return _ceil_half_log2(6, (shape[0] // groups + shape[1]) * prod(shape[2:])) - form.magnitude_bits


def _ceil_half_log2(numerator: int, denominator: int) -> int:
    """The least c with 4^c >= numerator / denominator."""
    c = 0
    while numerator > denominator << 2 * c:
        c += 1
    while c <= 0 and numerator << 2 * (1 - c) <= denominator:
        c -= 1
    return c
