"""How far one step of the C is from PyTorch's of the same state, as plain objects."""

import math
from dataclasses import dataclass

LARGEST = 1e-5
"""Of the norm of the update: what a different order of summation leaves."""
ROUNDINGS = 10
"""Times as far as PyTorch's own step is from one of 64 bits."""
MOST_FLIPS = 1e-3
"""Of the codes: values within a rounding error of a threshold."""


@dataclass(frozen=True)
class PhaseAgreement:
    """One step of one phase. ``share`` is |C - PyTorch| / |update| over all that the phase trains.

    Where that is beyond its limit, ``rounding`` is the same of PyTorch's step in 32 bits and in 64: an update
    that cancels, as through a norm of two values, is mostly rounding in any order.
    ``flips`` of the ``codes`` of activations are others, and ``masks`` gradients pass one of the two alone:
    there PyTorch was given the board's value, if that is the same but for rounding.
    """

    phase: int
    block: str  # that is trained, "" where all are
    share: float | None  # None where it is no number
    rounding: float
    codes: int
    flips: int
    masks: int
    worst: str  # the tensor with the largest difference

    @property
    def within(self) -> bool:
        """Whether both are within their limits."""
        if self.share is None:
            return False
        return self.share <= max(LARGEST, ROUNDINGS * self.rounding) and self.flips <= MOST_FLIPS * self.codes

    @property
    def flipped(self) -> float:
        """The share of codes that are others."""
        return self.flips / self.codes if self.codes else 0.0


@dataclass(frozen=True)
class Agreement:
    """One step of each phase, from PyTorch's state behind ``before`` steps of its own."""

    phases: tuple[PhaseAgreement, ...]
    before: int

    @property
    def worst(self) -> PhaseAgreement:
        """The phase with the largest share; one without a number is the worst."""
        return max(self.phases, key=lambda x: math.inf if x.share is None else x.share)

    @property
    def codes(self) -> int:
        """Of all phases."""
        return sum(phase.codes for phase in self.phases)

    @property
    def flips(self) -> int:
        """Of all phases."""
        return sum(phase.flips for phase in self.phases)

    @property
    def masks(self) -> int:
        """Of all phases."""
        return sum(phase.masks for phase in self.phases)

    @property
    def wrong(self) -> tuple[str, ...]:
        """A line for each phase beyond a limit."""
        return tuple(_beyond(phase) for phase in self.phases if not phase.within)


def _beyond(phase: PhaseAgreement) -> str:
    share = "no number" if phase.share is None else f"{phase.share:.1e} of its update"
    return (
        f"one step of {phase.block or 'all blocks'} is {share} from PyTorch's, most in {phase.worst}, with"
        f" {phase.flips:,} of {phase.codes:,} codes flipped (limits: {LARGEST:g}, {MOST_FLIPS:.1%})"
    )
