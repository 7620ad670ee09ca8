"""Gradients of several batches, added up in 32 bits until the states of weights jump by the sum."""

from dataclasses import replace

import torch
from torch import Tensor

from blockwise.integer.accumulate import INT32_MAX
from blockwise.integer.rounding import largest_magnitude
from blockwise.integer.tensor import Accumulator
from devices.errors import InputError


class Jumps:
    """When the layers of a network jump: behind ``every`` batches, of which ``waiting`` are added up."""

    def __init__(self, every: int) -> None:
        self.every, self.waiting = every, 0

    @property
    def due(self) -> bool:
        """Whether the batch under way is the last of those that are waited for."""
        return self.waiting == self.every - 1

    def count(self) -> None:
        """The batch under way is behind."""
        self.waiting = 0 if self.due else self.waiting + 1


class Waiting:
    """The sum of the gradients of one layer's states; exponents are ignored, as in every step."""

    def __init__(self, jumps: Jumps) -> None:
        self.jumps = jumps
        self.sums: Tensor | None = None  # int32; None before the first gradient

    def add(self, gradient: Accumulator) -> Accumulator | None:
        """Add a batch's gradient; the sum where the weights jump by it, which begins anew then.

        Raises InputError where the sum passes 2^31 - 1, which shapes rule out.
        """
        if self.sums is None:
            self.sums = torch.zeros_like(gradient.mantissa)
        most = largest_magnitude(self.sums) + largest_magnitude(gradient.mantissa)
        if most > INT32_MAX:
            raise InputError(
                "sum of gradients", got=f"up to {most:,}", wanted=f"at most {INT32_MAX:,}, within 32 bits",
                do="let weights jump more often: a smaller --jump-every",
            )  # fmt: skip
        self.sums += gradient.mantissa
        if not self.jumps.due:
            return None
        found, self.sums = self.sums, torch.zeros_like(self.sums)
        return replace(gradient, mantissa=found)
