"""Ternary weight networks (Li et al. 2016, arXiv 1605.04711): -a, 0 and +a, where a fits the weights."""

from collections.abc import Mapping

import torch
from torch import Tensor

from blockwise.quant.numeric.estimators import straight_through
from blockwise.quant.quantizer import Method, Quantizer
from devices.network.bits import QuantizerMemory

THRESHOLD = 0.7
"""Of the mean magnitude: near the best threshold of uniform (2/3) and of normal (0.75) weights."""


def ternary_codes(x: Tensor, threshold: Tensor) -> Tensor:
    """0 below -threshold, 2 above threshold, 1 between and at both."""
    return 1 + (x > threshold).long() - (x < -threshold).long()


class TWN(Quantizer):
    """sign(w) a where |w| > D, else 0: D = 0.7 mean|w|, a = mean(|w| : |w| > D), both per tensor.

    For a given D this a has the least squared error; the best D has no closed form, and the paper
    takes this one. The gradient passes unchanged. Three of the four codes are used.
    """

    symmetric = True

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize weights of any shape."""
        with torch.no_grad():
            threshold, scale = self._fit(x)
            value = torch.where(x.abs() > threshold, x.sign() * scale, 0)
        return straight_through(x, value)

    @staticmethod
    def _fit(x: Tensor) -> tuple[Tensor, Tensor]:
        magnitude = x.detach().abs()
        threshold = THRESHOLD * magnitude.mean()
        large = magnitude > threshold  # none if all are zero
        return threshold, torch.where(large, magnitude, 0).sum() / large.sum().clamp_min(1)

    def codes(self, x: Tensor) -> Tensor:
        """0, 1 and 2."""
        return ternary_codes(x, self._fit(x)[0])

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """The scale a."""
        return {"scale": self._fit(x)[1]}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """(code - 1) a."""
        return (codes.float() - 1) * constants["scale"]

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """The scale, made from the weights."""
        return QuantizerMemory(packed=1)


METHOD = Method(
    "twn",
    "-a, 0 and +a, a fitted to the weights",
    "Li et al. 2016, arXiv 1605.04711",
    "linear",
    TWN,
    None,
    edge_bits=32,
    weight_bits=(2,),
    partner="lsq",
)
