"""Incremental network quantization (Zhou et al. 2017, arXiv 1702.03044): more weights are frozen by stage."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from blockwise.quant.numeric.estimators import straight_through
from blockwise.quant.numeric.powers import below_half, halvings, magnitudes, table, top_power
from blockwise.quant.quantizer import Method, Quantizer, Role
from devices.network.bits import QuantizerMemory

SHARES = (0.0, 0.5, 0.75, 0.82, 1.0)
"""Of the weights, frozen from the beginning of each stage on. The paper starts from trained float
weights; to start from scratch the same way, the first stage trains in float. Every stage goes through the
learning rate's whole schedule, as the paper trains again after each freezing."""


class INQ(Quantizer):
    """Zero and 2^(b-2) powers of two of either sign, T = 2^n1 down to 2^n2 = 2^(n1 + 1 - 2^(b-2)).

    n1 = floor(log2(4 max|w| / 3)), the power nearest to the largest weight, is chosen when the first
    weights are frozen, and kept: else weights frozen earlier would lose their codes. At the beginning of
    each stage the largest weights that are still free are rounded to the nearest level and frozen: they
    get no gradient, and are put back after every step, whatever momentum and decay do. The others stay
    floats and train on, until in the last stage none is left.

    In a training without stages, and used alone, all weights are rounded and none is frozen; their
    gradient passes unchanged.
    """

    needs_data = True
    symmetric = True
    top: Tensor
    frozen: Tensor  # 0: free, else 1 + code, of the shape of the weights

    def __init__(self, bits: int, role: Role, shape: tuple[int, ...] = ()) -> None:
        super().__init__(bits, role, shape)
        self.register_buffer("top", torch.ones(()))
        self.register_buffer("frozen", torch.zeros(shape, dtype=torch.uint8))
        self.share, self.freezes = 1.0, False

    def configure(self, bits: int) -> None:
        """The number of powers."""
        super().configure(bits)
        self.count = 1 << bits - 2

    def set_bits(self, bits: int) -> None:
        """Go on with another width; codes of the old one mean nothing in it."""
        if bits != self.bits:
            self.frozen.zero_()
        super().set_bits(bits)

    def enter(self, stage: int, of: int) -> None:
        """More weights are frozen when the next tensor is seen."""
        if of == 1:
            return
        last = stage == of - 1
        self.share, self.freezes = SHARES[-1] if last else SHARES[stage * len(SHARES) // of], True
        self.ready.fill_(False)
        self._is_ready = False

    def initialise(self, x: Tensor) -> None:
        """Choose the levels, if no weight has one; freeze the largest that are free, up to the share."""
        if not self.frozen.any():
            self.top.copy_(top_power(x.abs().amax(), self.count))
        if self.freezes:
            self.frozen.copy_(torch.where(self._due(x), self.codes(x) + 1, self.frozen))

    def _due(self, x: Tensor) -> Tensor:
        """Which weights are frozen at the present share: those that were, and the largest others."""
        magnitude = torch.where(self.frozen > 0, torch.inf, x.abs()).flatten()
        largest = magnitude.topk(round(self.share * x.numel())).indices
        return torch.zeros_like(magnitude, dtype=torch.bool).index_fill_(0, largest, True).view(x.shape)

    def quantize(self, x: Tensor) -> Tensor:
        """Weights of any shape: levels of the frozen ones; the others rounded in the last stage."""
        free = x if self.share < 1 else straight_through(x, self._nearest(x.detach()) * self.top)
        return self._with_frozen(free)

    def _with_frozen(self, free: Tensor) -> Tensor:
        """The levels of the frozen weights, and ``free`` elsewhere."""
        levels = free.new_tensor([0.0, *_levels(self.count)]) * self.top
        return torch.where(self.frozen > 0, levels[self.frozen.int()], free)

    def _nearest(self, x: Tensor) -> Tensor:
        """The nearest level as a share of the largest; halfway the larger, 1.5 2^k and 2^n2 / 2."""
        share = x / self.top
        least = below_half(2.0 ** (1 - self.count), x.dtype)
        return magnitudes(share, self.count).mul_(F.hardshrink(share, least).sign_())

    def constrain(self, latent: Tensor) -> None:
        """Put the frozen weights back."""
        latent.copy_(self._with_frozen(latent))

    def codes(self, x: Tensor) -> Tensor:
        """From -T over 0 to T; frozen weights keep theirs."""
        nearest = self._nearest(x)
        codes = self.count + nearest.sign().long() * (self.count - halvings(nearest))
        return torch.where(self.frozen > 0, self.frozen.long() - 1, codes)

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """The largest level."""
        return {"top": self.top}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """T shifted down, with the sign, or zero."""
        return torch.tensor(_levels(1 << bits - 2))[codes] * constants["top"]

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """The largest level; in training a bit to a weight, which tells the frozen ones.

        A frozen weight's level takes the place of its latent value. (PyTorch's optimizers step all
        weights alike: there ``frozen`` holds the codes, in the byte that a bool takes as well.)
        """
        return QuantizerMemory(kept=1, packed=1, mask_bits=1)


def _levels(count: int) -> list[float]:
    """-1, -1/2, .. 0, .. 1/2, 1 with ``count`` powers of either sign, in the order of codes."""
    powers = table(count)
    return [*(-p for p in powers), 0.0, *reversed(powers)]


METHOD = Method(
    "inq",
    "powers of two and zero; the largest weights are frozen first",
    "Zhou et al. 2017, arXiv 1702.03044",
    "logarithmic",
    INQ,
    None,
    edge_bits=1,
    weight_bits=(2, 3, 4, 5),
    partner="lsq",
    stages=(0.0, 0.2, 0.4, 0.6, 0.8),
)
