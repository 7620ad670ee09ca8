"""PACT: Parameterized Clipping Activation (Choi et al. 2018, arXiv 1805.06085)."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from blockwise.quant.numeric.ranges import above_zero, inner
from blockwise.quant.quantizer import Method, ParameterRule, Quantizer, Role
from devices.network.bits import QuantizerMemory

DECAY = 2e-4
"""L2 penalty on alpha: that of the weights in the paper's CIFAR-10 training."""


class _PactClip(torch.autograd.Function):
    """y = R(C(x, 0, alpha) n / alpha) alpha / n with dx = g 1{0 <= x < alpha}.

    PACT: d alpha = sum g 1{x >= alpha}, which leaves the rounding out, written as
    sum (g - dx) C(x, 0, alpha) / alpha: of inner products a compiler makes a fifth less work than of
    masked sums. ``complete`` (SAT) counts the rounding:
    d alpha = sum g (1{x >= alpha} + 1{x < alpha} (y - C(x, 0, alpha)) / alpha), written as
    (sum g y - sum dx x) / alpha.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, levels: int, complete: bool) -> Tensor:
        step = alpha / levels
        y = (x / step).clamp_(0, levels).round_().mul_(step)
        ctx.save_for_backward(x, alpha, *([y] if complete else []))
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (g,) = grads
        x, alpha, *y = ctx.saved_tensors
        g_x = torch.where((x >= alpha) | (x < 0), 0, g)
        total = inner(g, y[0]) - inner(g_x, x) if y else inner(g - g_x, x.clamp(x.new_zeros(()), alpha))
        return g_x, (total / alpha).view_as(alpha), None, None


class PACT(Quantizer):
    """Uniform levels from 0 to a trained clipping point alpha; a ReLU is part of it.

    An L2 penalty draws alpha down. The paper starts it above what most activations reach, at 10; here it
    starts at 4, from which a short training gets further: from 10, codes of few bits are at first mostly
    0 and 1. Alpha's gradient is a sum over all values beyond it; so that one step does not carry it
    through zero, it moves by shares of itself here (blockwise/training/sizes.py).
    """

    start: ClassVar[float] = 4.0
    complete: ClassVar[bool] = False  # whether alpha's gradient counts the rounding error
    rules: ClassVar[Mapping[str, ParameterRule]] = {"alpha": ParameterRule(weight_decay=DECAY, size=True)}

    def __init__(self, bits: int, role: Role, shape: tuple[int, ...] = ()) -> None:
        super().__init__(bits, role, shape)
        self.alpha = nn.Parameter(torch.full((), self.start))

    def configure(self, bits: int) -> None:
        """The largest code."""
        super().configure(bits)
        self.levels = (1 << bits) - 1

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize activations of any shape."""
        return _PactClip.apply(x, self._end(), self.levels, self.complete)  # type: ignore[no-any-return]

    def _end(self) -> Tensor:
        return above_zero(self.alpha)

    def codes(self, x: Tensor) -> Tensor:
        """Codes 0 .. 2^bits - 1."""
        return (x / (self._end() / self.levels)).clamp(0, self.levels).round().long()

    def decode_activations(self, codes: Tensor, levels: Tensor | None) -> Tensor:
        """Code times alpha / n."""
        assert levels is not None
        return codes.float() * (above_zero(levels[0]) / self.levels)

    def gradient_of_codes(self, gradient: Tensor, mask: Tensor, codes: Tensor | None) -> Tensor:
        """The sum over what lies at alpha or above: there the code is the highest, and nothing passes."""
        assert codes is not None
        return torch.where(~mask & (codes == self.levels), gradient, 0).sum().view(1)

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """Alpha. A mask tells which values pass, and the code on which side the others lie."""
        return QuantizerMemory(trained=1, packed=1, reads_codes=True)


METHOD = Method(
    "pact",
    "activations clipped at a trained point",
    "Choi et al. 2018, arXiv 1805.06085",
    "linear",
    None,
    PACT,
    edge_bits=32,
    partner="dorefa",
)
