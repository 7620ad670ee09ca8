"""Quant-Noise: a random part of the weights is quantized (Fan et al. 2021, arXiv 2004.07320)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from blockwise.quant.numeric.noise import Noisy
from blockwise.quant.quantizer import Method
from devices.network.bits import QuantizerMemory

RATE = 0.5
"""Share of the weights that are quantized in a training step, as the authors train integers."""


class QuantNoise(Noisy):
    """C(w) + mask (Q(w) - w), with the mask drawn anew per weight and step; deployed as Q(w).

    Q rounds to 2^b levels at equal distances from the least weight to the largest. C clips to their
    range, which holds all weights: the gradient passes unchanged. (The paper moves the levels by less
    than half a step, so that zero is one of them; with few levels that costs more than it gives.)
    First and last layers take 8 bits.
    """

    def quantize(self, x: Tensor) -> Tensor:
        """Partly quantized weights in training, else those deployed."""
        still = x.detach()
        low, step = self._grid(still)
        value = (low + self._rounded(still, low, step) * step).to(x.dtype)
        if self.training:
            value = torch.where(self.noise(x) < RATE, value, still)
        return value + (x - still)  # the bracket is zero: only its gradient counts

    def _grid(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The lowest level and the distance between levels."""
        low, high = x.aminmax()
        return low, (high - low) / ((1 << self.bits) - 1)

    def _rounded(self, x: Tensor, low: Tensor, step: Tensor) -> Tensor:
        places = (x - low) / torch.where(step > 0, step, 1)
        return places.round().clamp(0, (1 << self.bits) - 1)

    def codes(self, x: Tensor) -> Tensor:
        """Codes 0 .. 2^bits - 1: steps from the lowest level."""
        return self._rounded(x, *self._grid(x)).long()

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """The lowest level and the distance between levels."""
        low, step = self._grid(x)
        return {"low": low, "step": step}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """So many steps from the lowest level."""
        return constants["low"] + codes.float() * constants["step"]

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """Which noise comes next; lowest level and step."""
        return QuantizerMemory(kept=1, packed=2)


METHOD = Method(
    "quant-noise",
    "uniform levels; trained with a random part of the weights quantized",
    "Fan et al. 2021, arXiv 2004.07320",
    "noise",
    QuantNoise,
    None,
    edge_bits=8,
    weight_bits=tuple(range(1, 9)),
    partner="lsq",
)
