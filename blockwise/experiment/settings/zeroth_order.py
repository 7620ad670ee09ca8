"""How zeroth-order regimes step."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from blockwise.integer.rounding import bit_length
from blockwise.integer.update import LARGEST_MU
from blockwise.integer.zeroth_order import MOST_RANGE
from blockwise.system.sizes import check_size
from blockwise.training.options import Perturbation
from devices.errors import InputError

USUAL = Perturbation()
LEAST_REACH = 3
"""Bits of the largest element and of the first step together: with two less something still moves."""
MOST_DIRECTIONS = 1 << 12
"""Of a step: their differences of losses are a tensor of the program."""


@dataclass(frozen=True)
class ZerothOrderSettings:
    """How zeroth-order regimes step; others take no notice."""

    zo_eps: Annotated[
        float, arg(metavar="DISTANCE", help="How far zo moves each float weight to either side.")
    ] = USUAL.eps
    zo_lr: Annotated[
        float,
        arg(metavar="RATE", help="Highest learning rate of what zo perturbs; the schedule is --schedule's."),
    ] = USUAL.rate
    zo_directions: Annotated[
        int, arg(metavar="N", help="Random directions of a step: two forward passes for each.")
    ] = USUAL.directions
    zo_backprop: Annotated[
        int, arg(metavar="N", help="Last blocks that hybrid regimes train by backpropagation.")
    ] = USUAL.backprop_blocks

    zo_range: Annotated[
        int, arg(metavar="UNITS", help="How far niti-zo moves each 8-bit weight to either side at most.")
    ] = USUAL.range
    zo_mu: Annotated[
        int,
        arg(
            metavar="BITS",
            help="First learning rate of what niti-zo perturbs: a step moves a weight by 2^BITS at most; one "
            "bit less after a half and after three quarters of the training.",
        ),
    ] = USUAL.mu

    def __post_init__(self) -> None:
        for flag, value in (("--zo-eps", self.zo_eps), ("--zo-lr", self.zo_lr)):
            if not 0 < value < float("inf"):
                raise InputError(flag, got=value, wanted="a number above 0", do="leave it out")
        check_size("--zo-directions", self.zo_directions, most=MOST_DIRECTIONS)
        check_size("--zo-backprop", self.zo_backprop)
        check_size("--zo-range", self.zo_range, most=MOST_RANGE)
        least = LEAST_REACH - bit_length(self.zo_range)
        if not least <= self.zo_mu <= LARGEST_MU:
            raise InputError(
                "--zo-mu", got=self.zo_mu, wanted=f"{least} to {LARGEST_MU} with --zo-range {self.zo_range}",
                do="choose one of them: below, the last steps would move no weight",
            )  # fmt: skip

    @property
    def perturbation(self) -> Perturbation:
        """As a training takes it."""
        return Perturbation(
            self.zo_eps, self.zo_lr, self.zo_directions, self.zo_backprop, self.zo_range, self.zo_mu
        )
