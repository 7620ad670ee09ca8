"""Selective two-word logarithmic quantization, a variant: a second power of two where one is too coarse.

Only the idea is that of Oh et al. ("Automated log-scale quantization for low-cost deep neural networks",
CVPR 2021): a weight is a power of two, +-2^a, and where that leaves a large error the sum or the
difference of two, +-2^a +- 2^b. Which weights get the second word, how they are stored and how the levels
are trained is this project's own: every weight has a code of b bits, the second words stand where the
levels would be farthest apart, and the scale is trained as the step of LSQ. Numbers of the paper say
nothing about this variant.
"""

import itertools
import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from blockwise.quant.numeric.level_sets import LevelSet, scaled_levels
from blockwise.quant.numeric.ranges import SMALLEST_STEP, above_zero
from blockwise.quant.quantizer import FLOAT_BITS, SIZE, Method, ParameterRule, Quantizer, Role
from devices.network.bits import ONE_STEP, QuantizerMemory

CANDIDATES = 32
"""Scales that the start is chosen from."""


def magnitudes(bits: int) -> tuple[int, ...]:
    """Zero and 2^(bits - 1) - 1 levels, in units that make all of them integers.

    ``bits`` of them, if there are so many, are 1, 1/2, 1/4 and so on. The others are put one by one into
    the middle of the widest gap whose middle needs no third word; of equal gaps into that nearest to
    zero, where most weights are.
    """
    count = (1 << bits - 1) - 1
    unit = 1 << count  # small enough for any middle
    levels = [0, *(unit >> k for k in reversed(range(min(bits, count))))]
    while len(levels) <= count:
        gaps = [(b - a, -a) for a, b in itertools.pairwise(levels) if words((a + b) // 2) <= 2]
        width, low = max(gaps)
        levels = sorted([*levels, width // 2 - low])
    divisor = math.gcd(*levels)
    return tuple(level // divisor for level in levels)


def words(level: int) -> int:
    """How many powers of two, added or subtracted, make the level: its non-adjacent form's digits."""
    return (level ^ 3 * level).bit_count()


class STLQ(Quantizer):
    """The nearest of 2^b - 1 levels, 0 and both signs, times a trained scale.

    At 4 bits their magnitudes are 0, 1/8, 1/4, 3/8, 1/2, 5/8, 3/4 and 1; at 3 bits and fewer there are
    codes for powers of two only. The scale starts where the squared error of the first weights is
    least. Its gradient is that of LSQ: inside the range the error of the value, outside its end, over
    the root of the number of weights; it moves by shares of itself (blockwise/training/sizes.py). The
    gradient of weights passes inside the range.
    """

    needs_data = True
    symmetric = True
    rules: ClassVar[Mapping[str, ParameterRule]] = {"scale": SIZE}

    def __init__(self, bits: int, role: Role, shape: tuple[int, ...] = ()) -> None:
        super().__init__(bits, role, shape)
        self.scale = nn.Parameter(torch.ones(()))

    def configure(self, bits: int) -> None:
        """The levels."""
        super().configure(bits)
        if bits < FLOAT_BITS:  # a stage of some trainings
            self.levels = level_set(bits)

    def initialise(self, x: Tensor) -> None:
        """Set the scale to the best of some shares of the largest weight; zeros leave it at 1."""
        largest = x.abs().amax()
        if largest > SMALLEST_STEP:
            shares = x / largest
            scales = [k / CANDIDATES for k in range(1, CANDIDATES + 1)]
            best = min(scales, key=lambda s: (self.levels.nearest(shares / s) * s - shares).norm().item())
            self.scale.copy_(best * largest)

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize weights of any shape."""
        scale = 1 / math.sqrt(x.numel())
        return scaled_levels(x, self._positive_scale(), self.levels, clips=True, gradient_scale=scale)

    def _positive_scale(self) -> Tensor:
        return above_zero(self.scale)

    def codes(self, x: Tensor) -> Tensor:
        """The number of the level, from the lowest."""
        return self.levels.codes(x / self._positive_scale())

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """The scale."""
        return {"scale": self._positive_scale().detach()}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """The level times the scale."""
        return torch.tensor(level_set(bits).values)[codes] * constants["scale"]

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """The scale."""
        return ONE_STEP


def level_set(bits: int) -> LevelSet:
    """The levels of either sign."""
    positive = magnitudes(bits)
    return LevelSet((*(-m for m in reversed(positive[1:])), *positive))


METHOD = Method(
    "stlq",
    "powers of two, and sums of two where one is too coarse (own variant)",
    "after Oh et al. 2021, CVPR",
    "logarithmic",
    STLQ,
    None,
    edge_bits=8,
    weight_bits=(2, 3, 4, 5),
    partner="lsq",
    edge_method="lsq",
)
