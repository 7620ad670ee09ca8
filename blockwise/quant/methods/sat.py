"""SAT: Scale-Adjusted Training (Jin et al. 2019, arXiv 1912.10207), on its own and on a centred grid."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from blockwise.quant.methods.dorefa import squash
from blockwise.quant.methods.pact import PACT
from blockwise.quant.quantizer import SIZE, Method, ParameterRule, Quantizer, round_ste
from devices.network.bits import ONE_STEP, QuantizerMemory

SMALLEST_DEVIATION = 1e-6
"""Below it all levels are one, and there is no variance to adjust."""


class _ScaleAdjusted(Quantizer):
    """DoReFa's tanh map on a grid, rescaled to the variance that keeps training stable.

    u = tanh(w) / (2 max|tanh w|) + 1/2; w_q = c Q / std(Q), where Q is what the grid makes of u, its
    deviation is constant in the backward pass and c = 1 / sqrt(out kh kw) for a convolution,
    1 / sqrt(out) for a linear layer. The levels of Q are even and symmetric about zero.
    """

    symmetric = True
    idempotent = False  # tanh and rescaling move the levels

    @abstractmethod
    def cells(self, unit: Tensor) -> Tensor:
        """Codes 0 .. 2^bits - 1 of values in [0, 1], as floats; the gradient goes through."""

    @staticmethod
    @abstractmethod
    def grid(cells: Tensor, bits: int) -> Tensor:
        """The levels of codes, in [-1, 1]."""

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize weights of any shape; the gradient goes through the tanh."""
        grid = self.grid(self.cells(squash(x)), self.bits)
        return grid * self._scale(grid.detach())

    def _scale(self, grid: Tensor) -> Tensor:
        out, *rest = self.shape or grid.shape
        deviation = grid.std(correction=0)
        deviation = torch.where(deviation > SMALLEST_DEVIATION, deviation, 1)
        return 1 / (deviation * math.sqrt(out * math.prod(rest[1:])))

    def codes(self, x: Tensor) -> Tensor:
        """Codes 0 .. 2^bits - 1."""
        return self.cells(squash(x)).long()

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """The scale c / std(Q)."""
        return {"scale": self._scale(self.grid(self.cells(squash(x.detach())), self.bits))}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """The level, scaled."""
        return cls.grid(codes.float(), bits) * constants["scale"]

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """One scale, made from the weights, all of which have a part in each one's gradient."""
        return QuantizerMemory(packed=1, by_filter=False)


class SATWeight(_ScaleAdjusted):
    """The grid of the paper, which is DoReFa's: Q = 2 R(n u) / n - 1 with n = 2^b - 1.

    Both ends of [-1, 1] are levels, and the cells at the ends half as wide as the others.
    """

    def cells(self, unit: Tensor) -> Tensor:
        """The nearest of n + 1 even levels from 0 to 1."""
        return round_ste(unit * ((1 << self.bits) - 1))

    @staticmethod
    def grid(cells: Tensor, bits: int) -> Tensor:
        """From -1 to 1, the ends included."""
        return 2 * (cells / ((1 << bits) - 1)) - 1


class _CellFunction(torch.autograd.Function):
    """The cell of [0, 1], cut into ``levels`` equal ones, that a value lies in; passed straight through."""

    @staticmethod
    def forward(ctx: Any, unit: Tensor, levels: int) -> Tensor:
        ctx.levels = levels
        return (unit * levels).floor_().clamp_(0, levels - 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.levels, None


class CenteredSATWeight(_ScaleAdjusted):
    """The centred grid of the authors' later code: Q = 2 (C(floor(2^b u), 0, 2^b - 1) + 1/2) / 2^b - 1.

    The levels are the middles of 2^b equal cells; floor without the 1/2, as in AdaBits' own tables,
    would shift all of them by half a cell.
    """

    def cells(self, unit: Tensor) -> Tensor:
        """The cells."""
        return _CellFunction.apply(unit, 1 << self.bits)  # type: ignore[no-any-return]

    @staticmethod
    def grid(cells: Tensor, bits: int) -> Tensor:
        """The middles of 2^bits equal cells of [-1, 1]."""
        return 2 * (cells + 0.5) / (1 << bits) - 1


class SATActivation(PACT):
    """CG-PACT: PACT whose clipping point has the complete gradient, rounding error included.

    The paper starts it at 8 behind convolutions and at 10 behind linear layers; here always at 8. It
    has no decay.
    """

    start = 8.0
    complete = True
    rules: ClassVar[Mapping[str, ParameterRule]] = {"alpha": SIZE}

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """Alpha; its gradient needs values before rounding."""
        return ONE_STEP


METHOD = Method(
    "sat",
    "tanh-normalised weights rescaled to a stable variance",
    "Jin et al. 2019, arXiv 1912.10207",
    "linear",
    SATWeight,
    SATActivation,
    edge_bits=8,
    residual="float",  # deJQK/AdaBits, models/q_resnet_cifar.py
)
CENTERED = Method(
    "sat-centered",
    "as sat, levels in the middles of equal cells",
    "Jin et al. 2020, arXiv 1912.09666 (AdaBits; its code)",
    "linear",
    CenteredSATWeight,
    SATActivation,
    edge_bits=8,
    residual="float",  # as sat
)
