"""Learned Step Size Quantization (Esser et al. 2020, arXiv 1902.08153)."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from blockwise.quant.numeric.ranges import SMALLEST_STEP, above_zero, inner
from blockwise.quant.quantizer import SIZE, Method, ParameterRule, Quantizer, Role, signs
from devices.network.bits import ONE_STEP, QuantizerMemory


class _LSQFunction(torch.autograd.Function):
    """s R(C(v/s, -Qn, Qp)) with the gradients of equations 3 to 5 of the paper.

    The mask is on the value before rounding, both ends of the range inclusive. The gradient of the
    step, sum g (R(v/s) - v/s inside | -Qn | Qp), is written as (sum g v_q - sum g_v v) / s, which
    needs no further pass over the data than these two inner products.
    """

    @staticmethod
    def forward(
        ctx: Any, v: Tensor, step: Tensor, low: int, high: int, step_scale: float, binary: bool
    ) -> Tensor:
        quantized = signs(v) if binary else (v / step).clamp_(low, high).round_()
        quantized.mul_(step)
        ctx.save_for_backward(v, quantized, step)
        ctx.low, ctx.high, ctx.step_scale = low, high, step_scale
        return quantized

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        (g,) = grads
        v, quantized, step = ctx.saved_tensors
        inside = (v >= ctx.low * step) & (v <= ctx.high * step)
        g_v = torch.where(inside, g, 0)
        total = inner(g, quantized) - inner(g_v, v)
        return g_v, (total / step * ctx.step_scale).view_as(step), None, None, None, None


class LSQ(Quantizer):
    """Uniform quantizer with a trained step size.

    Weights: codes -2^(b-1) .. 2^(b-1) - 1, or -1 and +1 at one bit (the paper's formula would leave
    only -1 and 0). Activations: codes 0 .. 2^b - 1, which includes the ReLU. The step starts at
    2 mean|v| / sqrt(Qp), where v of activations is what that ReLU reads: about twice the paper's start, whose
    v lies behind the ReLU. Its gradient is scaled by 1 / sqrt(N Qp), where N is the number of
    weights, or of one sample's activations. The paper moves the step by that gradient, which carries
    the 8-bit one of a last layer through zero at usual rates; here it moves by shares of itself, which
    small steps are all the same (blockwise/training/sizes.py).
    """

    needs_data = True
    rules: ClassVar[Mapping[str, ParameterRule]] = {"step": SIZE}

    def __init__(self, bits: int, role: Role, shape: tuple[int, ...] = ()) -> None:
        super().__init__(bits, role, shape)
        self.step = nn.Parameter(torch.ones(()))

    def configure(self, bits: int) -> None:
        """The ends of the range."""
        super().configure(bits)
        self.binary = self.role == "weight" and bits == 1
        self.low, self.high = code_range(bits, self.role)

    def initialise(self, x: Tensor) -> None:
        """Set the step from ``x``; constant zeros leave it at 1."""
        start = 2 * x.abs().mean() / math.sqrt(self.high)
        if start > SMALLEST_STEP:
            self.step.copy_(start)

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize ``x`` (any shape; activations have the batch first)."""
        n = x.numel() if self.role == "weight" else x[:1].numel()
        scale = 1 / math.sqrt(max(n, 1) * self.high)
        args = (x, self._positive_step(), self.low, self.high, scale, self.binary)
        return _LSQFunction.apply(*args)  # type: ignore[no-any-return]

    def _positive_step(self) -> Tensor:
        return above_zero(self.step)

    @property
    def counts_bytes(self) -> bool:
        """Up to 8 bits."""
        return self.bits <= 8

    @property
    def unit(self) -> Tensor:
        """The step."""
        return self._positive_step().detach()

    def codes(self, x: Tensor) -> Tensor:
        """Codes 0 .. 2^bits - 1: the rounded quotient from the low end of its range."""
        if self.binary:
            return (x >= 0).long()
        return (x / self._positive_step()).clamp(self.low, self.high).round().long() - self.low

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """The step."""
        return {"step": self._positive_step().detach()}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """Step times the integer that the code stands for."""
        low, high = code_range(bits, "weight")
        stride = high - low if bits == 1 else 1
        return (codes * stride + low).float() * constants["step"]

    def decode_activations(self, codes: Tensor, levels: Tensor | None) -> Tensor:
        """Step times code."""
        assert levels is not None
        return codes.float() * above_zero(levels[0])

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """The step; its gradient needs values before rounding."""
        return ONE_STEP


def code_range(bits: int, role: Role) -> tuple[int, int]:
    """The integers that the codes stand for, first and last."""
    if role == "activation":
        return 0, (1 << bits) - 1
    return (-1, 1) if bits == 1 else (-(1 << bits - 1), (1 << bits - 1) - 1)


METHOD = Method(
    "lsq",
    "uniform levels with a trained step size",
    "Esser et al. 2020, arXiv 1902.08153",
    "linear",
    LSQ,
    LSQ,
    edge_bits=8,
)
