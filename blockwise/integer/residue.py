"""int4 weights with a 4-bit residue, both in one byte: steps too small for a state add up in the residue.

The byte is 16 state + 8 + residue, with the state -7 .. 7 and the residue -8 .. 7. The high nibble is
then the state in two's complement, the low nibble residue + 8: the forward pass takes the high nibble
(an arithmetic shift by 4), and the update is that of an int8 weight with other ends.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from blockwise.integer.rounding import Rounding, pseudo_stochastic
from blockwise.integer.tensor import INT4, Accumulator, IntTensor, shared
from blockwise.integer.update import gradient_step

LOW, HIGH = INT4.low * 16, INT4.high * 16 + 15
"""-112 .. 127: of the outermost states, too, all residues."""
LEVELS = HIGH - LOW + 1


@dataclass(frozen=True, eq=False)
class ResidueWeights:
    """``byte`` int8 within LOW .. HIGH; the state counts 2^exponent, the residue a sixteenth of it."""

    byte: Tensor
    exponent: int

    @property
    def states(self) -> IntTensor:
        """What forward and backward passes use."""
        return IntTensor(self.byte >> 4, self.exponent, INT4)


def from_states(states: IntTensor) -> ResidueWeights:
    """Of residue 0."""
    return ResidueWeights((states.mantissa << 4) + 8, shared(states.exponent))


def update(
    weights: ResidueWeights, gradient: Accumulator, mu: int, rounding: Rounding = pseudo_stochastic
) -> ResidueWeights:
    """byte <- clip(byte - g, LOW, HIGH), with g as of int8 weights: mu counts residues."""
    moved = (weights.byte - gradient_step(gradient, mu, rounding)).clamp_(LOW, HIGH)
    return replace(weights, byte=moved.to(torch.int8))
