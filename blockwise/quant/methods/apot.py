"""Additive powers of two (Li et al. 2020, arXiv 1909.13144): levels that are sums of a few of them."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from blockwise.quant.numeric.level_sets import LevelSet, scaled_levels
from blockwise.quant.numeric.ranges import above_zero
from blockwise.quant.quantizer import FLOAT_BITS, Method, ParameterRule, Quantizer, Role
from devices.network.bits import ONE_STEP, QuantizerMemory

WORDS: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((0, 1),),
    2: ((0, 1, 2, 4),),
    3: ((0, 1, 4, 8), (0, 2)),
    4: ((0, 2, 8, 32), (0, 1, 4, 16)),
}
"""Of b bits without sign: the powers, in a common unit, of which a level takes one from each tuple.

Two bits choose among three powers and zero; the powers of several words interleave (equation 5)."""

START = {"weight": 3.0, "activation": 8.0}
DECAY = 1e-4
"""L2 penalty on the thresholds, those of weights and of activations alike (the authors' CIFAR-10 code)."""
WEIGHT_RATE = 0.2
"""Rate of the weights' thresholds relative to the rest's; those of activations have the full one there."""
CONSTANT = 1e-6
"""Weights that differ by less than this share of their largest count as constant."""


def unsigned_levels(bits: int) -> tuple[int, ...]:
    """The 2^bits magnitudes, in the unit of :data:`WORDS`."""
    return tuple(sorted(map(sum, itertools.product(*WORDS[bits]))))


def signed_levels(bits: int) -> tuple[int, ...]:
    """The 2^bits - 1 levels of which one bit is the sign."""
    magnitudes = unsigned_levels(bits - 1)
    return (*(-m for m in reversed(magnitudes[1:])), *magnitudes)


class APoTActivation(Quantizer):
    """a Q(x/a) with a trained clipping threshold a, a ReLU included; it starts at 8.

    da = sum g (1{x > a} + (Q(x/a) - x/a) 1{inside}); the gradient of x passes inside, ends included.
    The threshold moves by shares of itself here (blockwise/training/sizes.py).
    """

    rules: ClassVar[Mapping[str, ParameterRule]] = {"scale": ParameterRule(weight_decay=DECAY, size=True)}

    def __init__(self, bits: int, role: Role, shape: tuple[int, ...] = ()) -> None:
        super().__init__(bits, role, shape)
        self.scale = nn.Parameter(torch.tensor(START[role]))

    def configure(self, bits: int) -> None:
        """The levels."""
        super().configure(bits)
        if bits < FLOAT_BITS:  # a stage of some trainings
            levels = signed_levels(bits) if self.role == "weight" else unsigned_levels(bits)
            self.levels = LevelSet(levels)

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize activations of any shape."""
        return scaled_levels(x, self._positive_scale(), self.levels, clips=True)

    def _positive_scale(self) -> Tensor:
        return above_zero(self.scale)

    def codes(self, x: Tensor) -> Tensor:
        """The number of the level, from the lowest."""
        return self.levels.codes(x / self._positive_scale())

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """The threshold, whose gradient needs values before rounding."""
        return ONE_STEP


class APoTWeight(APoTActivation):
    """a Q(v/a) of weights v = (w - mean) / std, with a trained clipping threshold a; it starts at 3.

    Mean and standard deviation (divided by N) are constants in the backward pass. The threshold's
    gradient is that of activations, with sign(v) beyond it; that of weights passes unclipped. The levels
    are those of v: a norm behind the layer takes the deviation.
    """

    symmetric = True
    idempotent = False  # quantized weights have another deviation
    rules: ClassVar[Mapping[str, ParameterRule]] = {"scale": ParameterRule(WEIGHT_RATE, DECAY, size=True)}

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize weights of any shape."""
        return scaled_levels(self._normalised(x), self._positive_scale(), self.levels, clips=False)

    @staticmethod
    def _normalised(x: Tensor) -> Tensor:
        largest = x.detach().abs().amax()
        largest = torch.where(largest > 0, largest, 1)
        shares = x.detach() / largest  # their squares neither vanish nor overflow
        mean, std = shares.mean() * largest, shares.std(correction=0)
        return (x - mean) / (torch.where(std > CONSTANT, std, 1) * largest)

    def codes(self, x: Tensor) -> Tensor:
        """The number of the level, from the lowest."""
        return super().codes(self._normalised(x))

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """The threshold."""
        return {"scale": self._positive_scale().detach()}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """The level times the threshold."""
        return torch.tensor(LevelSet(signed_levels(bits)).values)[codes] * constants["scale"]

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """The threshold; by mean and deviation all weights have a part in each one's gradient."""
        return replace(ONE_STEP, by_filter=False, apart=False)


METHOD = Method(
    "apot",
    "sums of powers of two; normalised weights, trained thresholds",
    "Li et al. 2020, arXiv 1909.13144",
    "logarithmic",
    APoTWeight,
    APoTActivation,
    edge_bits=8,
    weight_bits=(2, 3, 4, 5),
    activation_bits=(2, 3, 4),
    edge_method="lsq",
    residual="float",  # yhhhli/APoT_Quantization, CIFAR10/models
)
