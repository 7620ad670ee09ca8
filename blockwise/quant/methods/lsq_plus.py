"""LSQ+ (Bhalgat et al. 2020, arXiv 2004.09576): LSQ with a trained offset, and another start."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from blockwise.quant.methods.lsq import LSQ
from blockwise.quant.numeric.ranges import (
    SMALLEST_STEP,
    above_zero,
    least_error_end,
    offset_and_step_gradients,
)
from blockwise.quant.quantizer import SIZE, Method, ParameterRule, Quantizer, Role
from devices.network.bits import QuantizerMemory


class LSQPlusWeight(LSQ):
    """LSQ's weights, without offset; the step starts at max(|m - 3 d|, |m + 3 d|) / 2^(b-1).

    m and d are mean and standard deviation of the weights, so that the range covers nearly all.
    """

    def initialise(self, x: Tensor) -> None:
        """Set the step from ``x``; constant zeros leave it at 1."""
        largest = x.abs().amax()
        if largest > SMALLEST_STEP:
            unit = x / largest  # squares of huge weights would overflow
            end = largest * (unit.mean().abs() + 3 * unit.std(correction=0))  # the larger of the two
            self.step.copy_(end / (1 << self.bits - 1))


class _OffsetFunction(torch.autograd.Function):
    """y = o + s R(C((x - o) / s, 0, n)) with LSQ's gradients.

    dx = g inside the range, both ends inclusive; ds = sum g (R(r) - r inside | 0 below | n above) with
    r = (x - o) / s; do = sum g outside the range. ``scale`` multiplies ds and do.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, offset: Tensor, step: Tensor, levels: int, scale: float) -> Tensor:
        y = (x - offset).div_(step).clamp_(0, levels).round_().mul_(step).add_(offset)
        ctx.save_for_backward(x, y, offset, step)
        ctx.levels, ctx.scale = levels, scale
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        (g,) = grads
        x, y, offset, step = ctx.saved_tensors
        inside = (x >= offset) & (x <= offset + ctx.levels * step)
        g_x = torch.where(inside, g, 0)
        d_offset, d_step = offset_and_step_gradients(g, g_x, x, y, offset, step)
        return g_x, d_offset * ctx.scale, d_step * ctx.scale, None, None


class LSQPlusActivation(Quantizer):
    """Codes 0 .. 2^b - 1 for o + s code, where step s and offset o are trained.

    It stands where a ReLU stood: the offset starts at the smallest output of that ReLU, mostly zero,
    and then moves the point below which values are cut. The step starts where the squared error is
    least. Both gradients are scaled by LSQ's 1 / sqrt(N Qp), N the elements of one sample; the step
    moves by shares of itself, as LSQ's here. Unless the offset is zero, the zeros that a convolution
    pads with are not among the levels.
    """

    needs_data = True
    rules: ClassVar[Mapping[str, ParameterRule]] = {"step": SIZE}

    def __init__(self, bits: int, role: Role, shape: tuple[int, ...] = ()) -> None:
        super().__init__(bits, role, shape)
        self.step, self.offset = nn.Parameter(torch.ones(())), nn.Parameter(torch.zeros(()))

    def configure(self, bits: int) -> None:
        """The largest code."""
        super().configure(bits)
        self.levels = (1 << bits) - 1

    def initialise(self, x: Tensor) -> None:
        """Set offset and step from ``x``; constants leave the step at 1."""
        outputs = x.relu()
        self.offset.copy_(outputs.amin())
        step = least_error_end(outputs - self.offset, self.levels) / self.levels
        self.step.copy_(torch.where(step > SMALLEST_STEP, step, 1))

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize activations, the batch first."""
        scale = 1 / math.sqrt(max(x[:1].numel(), 1) * self.levels)
        args = (x, self.offset, self._positive_step(), self.levels, scale)
        return _OffsetFunction.apply(*args)  # type: ignore[no-any-return]

    def _positive_step(self) -> Tensor:
        return above_zero(self.step)

    def codes(self, x: Tensor) -> Tensor:
        """Codes 0 .. 2^bits - 1."""
        return ((x - self.offset) / self._positive_step()).clamp(0, self.levels).round().long()

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """Step and offset; the step's gradient needs values before rounding."""
        return QuantizerMemory(trained=2, packed=2, reads_value=True)


METHOD = Method(
    "lsq-plus",
    "trained step size, and for activations a trained offset",
    "Bhalgat et al. 2020, arXiv 2004.09576",
    "linear",
    LSQPlusWeight,
    LSQPlusActivation,
    edge_bits=8,
)
