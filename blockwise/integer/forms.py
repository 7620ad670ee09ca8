"""How weights are stored on integers, what a pass reads of them, and how a step moves them.

One form per number of bits: 8 (NITI), 4 with a residue of 4 more, 4 alone.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from blockwise.integer import residue
from blockwise.integer.conversion import best_factor, whole
from blockwise.integer.init import xavier, xavier_exponent, xavier_residue
from blockwise.integer.residue import ResidueWeights
from blockwise.integer.rounding import pseudo_stochastic, stochastic
from blockwise.integer.tensor import INT4, INT8, Accumulator, Format, IntTensor
from blockwise.integer.update import STATE_BITS, update
from blockwise.integer.xorshift import Xorshift32

PARTS = 1 << STATE_BITS
"""Of a state, that a residue counts."""


class Form(Protocol):
    """Weights (O, C) or (O, C, kernel) as int8 tensors; their exponent follows from shape and groups."""

    @property
    def deployed(self) -> Format:
        """What is left of a weight when training is over."""
        ...

    def initial(self, shape: tuple[int, ...], rng: Xorshift32) -> Tensor:
        """First weights as stored, Xavier uniform."""
        ...

    def stored(self, weights: Tensor, groups: int = 1) -> Tensor:
        """Weights in float as stored: what they mean, up to one factor (:mod:`..conversion`)."""
        ...

    def floats(self, stored: Tensor, groups: int = 1) -> Tensor:
        """What they mean, float32; :meth:`stored` gives them back to the bit."""
        ...

    def operand(self, stored: Tensor, groups: int = 1) -> IntTensor:
        """What forward and backward passes multiply by."""
        ...

    def updated(self, stored: Tensor, gradient: Accumulator, mu: int, rng: Xorshift32) -> Tensor:
        """The weights after a step; ``mu`` is that of 8-bit weights, whatever the form."""
        ...


@dataclass(frozen=True)
class Plain8:
    """int8 weights, updated as in NITI (arXiv 2009.13108)."""

    format: Format = INT8

    @property
    def deployed(self) -> Format:
        """The same."""
        return self.format

    def initial(self, shape: tuple[int, ...], rng: Xorshift32) -> Tensor:
        """Mantissas -127 .. 127."""
        return xavier(shape, rng, self.format).mantissa

    def stored(self, weights: Tensor, groups: int = 1) -> Tensor:
        """To nearest, ties to even."""
        units = _units(weights, self.format, groups)
        if not whole(units, self.format.low, self.format.high):
            units = units * best_factor(units, self.format.high)
        return units.round().clamp(self.format.low, self.format.high).to(torch.int8)

    def floats(self, stored: Tensor, groups: int = 1) -> Tensor:
        """Mantissas by their exponent."""
        return stored.float() * 2.0 ** xavier_exponent(tuple(stored.shape), self.format, groups)

    def operand(self, stored: Tensor, groups: int = 1) -> IntTensor:
        """The mantissas themselves."""
        return IntTensor(stored, xavier_exponent(tuple(stored.shape), self.format, groups), self.format)

    def updated(self, stored: Tensor, gradient: Accumulator, mu: int, rng: Xorshift32) -> Tensor:
        """Pseudo-stochastic: no random number is drawn."""
        return update(self.operand(stored), gradient, mu, pseudo_stochastic).mantissa


@dataclass(frozen=True)
class Residue4:
    """int4 states with a 4-bit residue in one byte."""

    deployed: Format = INT4

    def initial(self, shape: tuple[int, ...], rng: Xorshift32) -> Tensor:
        """Bytes -112 .. 127."""
        return xavier_residue(shape, rng).byte

    def stored(self, weights: Tensor, groups: int = 1) -> Tensor:
        """The factor is the best of the states; what these leave is in the residues."""
        units = _units(weights, INT4, groups)
        if not whole(units * PARTS, residue.LOW - PARTS // 2, residue.HIGH - PARTS // 2):
            units = units * best_factor(units, INT4.high)
        byte = (units * PARTS).round() + PARTS // 2
        return byte.clamp(residue.LOW, residue.HIGH).to(torch.int8)

    def floats(self, stored: Tensor, groups: int = 1) -> Tensor:
        """States and sixteenths of them."""
        exponent = xavier_exponent(tuple(stored.shape), INT4, groups)
        return (stored.float() - PARTS // 2) / PARTS * 2.0**exponent

    def operand(self, stored: Tensor, groups: int = 1) -> IntTensor:
        """The high nibbles."""
        return self._weights(stored, groups).states

    def updated(self, stored: Tensor, gradient: Accumulator, mu: int, rng: Xorshift32) -> Tensor:
        """As 8-bit weights: steps smaller than a state add up in the residue."""
        return residue.update(self._weights(stored), gradient, mu, pseudo_stochastic).byte

    def _weights(self, stored: Tensor, groups: int = 1) -> ResidueWeights:
        return ResidueWeights(stored, xavier_exponent(tuple(stored.shape), INT4, groups))


@dataclass(frozen=True)
class Jump4(Plain8):
    """int4 states alone, moved by random jumps between them (GXNOR-Net, arXiv 1705.09283, linear)."""

    format: Format = INT4

    def updated(self, stored: Tensor, gradient: Accumulator, mu: int, rng: Xorshift32) -> Tensor:
        """Stochastic: one random number for every weight."""
        return update(self.operand(stored), gradient, mu - STATE_BITS, stochastic(rng)).mantissa


def _units(weights: Tensor, form: Format, groups: int) -> Tensor:
    """In units of the mantissa, float64."""
    return weights.detach().double() / 2.0 ** xavier_exponent(tuple(weights.shape), form, groups)
