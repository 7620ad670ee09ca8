"""UNIQ: uniform noise on uniformised weights (Baskin et al. 2018, arXiv 1804.10969)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from blockwise.quant.numeric.noise import Noisy
from blockwise.quant.quantizer import Method
from devices.network.bits import QuantizerMemory


class UNIQ(Noisy):
    """Trained as w = F^-1(F(w) + e), deployed as w = F^-1((floor(k F(w)) + 1/2) / k), with k = 2^b.

    F is the normal distribution of the weights' present mean and standard deviation: each code stands
    for about an equal share of them. The noise e is uniform within 1/2k either way, as rounding to a
    code would be, and F(w) + e ends at 1/2k and 1 - 1/2k, as deployed weights do. The gradient is the
    formula's own with mean and deviation as constants; that of deployed weights passes unchanged. All
    layers take noise from the start: a quantizer does not know its place in the order, block by
    block, in which the paper fine-tunes. First and last layers take 8 bits.
    """

    idempotent = False  # the mean and the deviation of what is quantized differ

    def quantize(self, x: Tensor) -> Tensor:
        """Noisy weights in training, else those deployed."""
        mean, std = _moments(x)
        if self.training:
            half = 0.5 / (1 << self.bits)
            noise = half * (2 * self.noise(x) - 1)
            share = (torch.special.ndtr(_standard(x, mean, std)) + noise).clamp(half, 1 - half)
            noisy: Tensor = mean + std * torch.special.ndtri(share)
            return noisy.to(x.dtype)
        value = (mean + std * _middles(self.bits, mean)).to(x.dtype)[self.codes(x.detach())]
        return value + (x - x.detach())  # the bracket is zero: only its gradient counts

    def codes(self, x: Tensor) -> Tensor:
        """Codes 0 .. 2^bits - 1, in equal shares of the normal distribution."""
        count = 1 << self.bits
        share: Tensor = torch.special.ndtr(_standard(x, *_moments(x)))
        return (share * count).floor().clamp(0, count - 1).nan_to_num(0).long()

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """The mean and the deviation."""
        mean, std = _moments(x)
        return {"mean": mean, "std": std}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """The middle of each code's share."""
        levels = constants["mean"] + constants["std"] * _middles(bits, constants["mean"])
        return levels[codes]

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """Which noise comes next; mean and deviation, by which all weights are in each one's gradient."""
        return QuantizerMemory(kept=1, packed=2, by_filter=False)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, as constants; squared in float64, which holds all squares."""
    wide = x.detach().double()
    mean = wide.mean()
    std = (wide - mean).square().mean().sqrt()
    kind = torch.promote_types(x.dtype, torch.float32)
    return mean.to(kind), std.to(kind)


def _standard(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """In deviations from the mean; 0 where all weights are equal."""
    return (x - mean) / torch.where(std > 0, std, 1)


def _middles(bits: int, like: Tensor) -> Tensor:
    """The quantiles of the standard normal distribution in the middle of each code's share (2^b,)."""
    count = 1 << bits
    shares = (torch.arange(count, dtype=torch.float64, device=like.device) + 0.5) / count
    quantiles: Tensor = torch.special.ndtri(shares)
    return quantiles.to(like.dtype)


METHOD = Method(
    "uniq",
    "levels of equal shares; trained with uniform noise",
    "Baskin et al. 2018, arXiv 1804.10969",
    "noise",
    UNIQ,
    None,
    edge_bits=8,
    weight_bits=tuple(range(1, 9)),
    partner="lsq",
)
