"""DSQ: Differentiable Soft Quantization (Gong et al. 2019, arXiv 1908.05033)."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from blockwise.quant.numeric.ranges import (
    SMALLEST_STEP,
    above_zero,
    inner,
    least_error_end,
    offset_and_step_gradients,
)
from blockwise.quant.quantizer import SIZE, Method, ParameterRule, Quantizer, Role
from devices.network.bits import QuantizerMemory

START = 0.2
SOFTEST, HARDEST = 0.9, 1e-3
"""Limits of alpha: at 1 the soft function is a straight line, at 0 it has the hard one's infinite slope."""

ALPHA_RULE = ParameterRule(lr_scale=0.01)
"""Every element moves alpha, which is why it learns at a hundredth of the weights' rate: at the whole of it
that of weights falls through zero within an epoch, where the soft staircase is the hard one and hardly any
weight learns. The ends need none of that: what moves them in a step is limited (blockwise/training/sizes.py).
"""


class _SoftFunction(torch.autograd.Function):
    """The nearest of evenly spaced levels, with the gradients of the soft function.

    Let r = (x - low) / step, clipped to 0 .. n, and f in [-1/2, 1/2] its place in its cell of width 1.
    Soft: low + step (floor(r) + 1/2 + phi / 2) with phi = tanh(k f) / (1 - alpha), which is -1 and 1 at
    the ends of the cell, k = ln(2 / alpha - 1); hard: the sign of phi in its place. Backward the sign
    takes the derivative of phi: k (1 - tanh^2) / (1 - alpha) with respect to f, and
    tanh / (1 - alpha)^2 - 2 f (1 - tanh^2) / ((1 - alpha) alpha (2 - alpha)) with respect to alpha.
    ``low`` None stands for a constant zero.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: Tensor | None, step: Tensor, alpha: Tensor, levels: int) -> Tensor:
        y = _codes(x, low, step, levels).mul_(step)
        y = y if low is None else y.add_(low)
        ctx.save_for_backward(x, y, step, alpha, *([] if low is None else [low]))
        ctx.levels = levels
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, Tensor, Tensor, None]:
        (g,) = grads
        x, y, step, alpha, *rest = ctx.saved_tensors
        low = rest[0] if rest else torch.zeros_like(step)
        inside = (x >= low) & (x <= low + ctx.levels * step)
        g_in = torch.where(inside, g, 0)
        place = _ratio(x, rest[0] if rest else None, step, ctx.levels).frac_().sub_(0.5)
        k, height = (2 / alpha - 1).log(), 1 / (1 - alpha)
        tanh = (place * k).tanh_()
        g_soft = torch.addcmul(g_in, g_in * tanh, tanh, value=-1)
        narrowing = 2 / (alpha * (2 - alpha))  # -dk / d alpha
        d_phi = height * inner(g_in, tanh) - narrowing * inner(g_soft, place)
        g_x = g_soft.mul_(height * k / 2)
        d_alpha = step / 2 * height * d_phi
        if not rest:
            return g_x, None, (inner(g, y) - inner(g_x, x)) / step, d_alpha, None
        d_low, d_step = offset_and_step_gradients(g, g_x, x, y, low, step)
        return g_x, d_low, d_step, d_alpha, None


def _ratio(x: Tensor, low: Tensor | None, step: Tensor, levels: int) -> Tensor:
    above = x if low is None else x - low
    return (above / step).clamp_(0, levels)


def _codes(x: Tensor, low: Tensor | None, step: Tensor, levels: int) -> Tensor:
    return _ratio(x, low, step, levels).add_(0.5).floor_()  # the middle of a cell goes up: sign(0) = +1


class _Soft(Quantizer):
    """2^b evenly spaced levels between trained ends, whose gradient is that of a soft staircase.

    Alpha, trained from 0.2, says how far the soft staircase is from the hard one. The ends move by shares
    of themselves here, so that zero stays between them (blockwise/training/sizes.py).
    """

    needs_data = True
    rules: ClassVar[Mapping[str, ParameterRule]] = {"lower": SIZE, "upper": SIZE, "alpha": ALPHA_RULE}

    def __init__(self, bits: int, role: Role, shape: tuple[int, ...] = ()) -> None:
        super().__init__(bits, role, shape)
        self.upper, self.alpha = nn.Parameter(torch.ones(())), nn.Parameter(torch.full((), START))

    def configure(self, bits: int) -> None:
        """The largest code."""
        super().configure(bits)
        self.levels = (1 << bits) - 1

    def _low(self) -> Tensor | None:
        """The level of code 0; None where it is a constant zero."""
        return None

    def _step(self) -> Tensor:
        low = self._low()
        width = self.upper if low is None else self.upper - low
        return above_zero(width) / self.levels

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize a tensor of any shape."""
        # Outside its limits alpha counts as the nearer one and learns on, so that it can come back.
        alpha = self.alpha + (self.alpha.clamp(HARDEST, SOFTEST) - self.alpha).detach()
        args = (x, self._low(), self._step(), alpha, self.levels)
        return _SoftFunction.apply(*args)  # type: ignore[no-any-return]

    def codes(self, x: Tensor) -> Tensor:
        """Codes 0 .. 2^bits - 1."""
        return _codes(x, self._low(), self._step(), self.levels).long()


class DSQWeight(_Soft):
    """Levels from l to u, which start where the squared error of [-u, u] is least."""

    def __init__(self, bits: int, role: Role, shape: tuple[int, ...] = ()) -> None:
        super().__init__(bits, role, shape)
        self.lower = nn.Parameter(-torch.ones(()))

    def _low(self) -> Tensor:
        return self.lower

    def initialise(self, x: Tensor) -> None:
        """Set both ends from ``x``; constant zeros leave them at -1 and 1."""
        end = least_error_end(x, self.levels, signed=True)
        if end > SMALLEST_STEP:
            self.upper.copy_(end)
            self.lower.copy_(-end)

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """The lowest level and the distance between two."""
        return {"low": self.lower.detach(), "step": self._step().detach()}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """Low plus code times step."""
        return codes.float() * constants["step"] + constants["low"]

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """Two ends and alpha; deployed, low end and step."""
        return QuantizerMemory(trained=3, packed=2, reads_value=True)


class DSQActivation(_Soft):
    """Levels from 0, since a ReLU is part of it, to u, which starts where the squared error is least."""

    def initialise(self, x: Tensor) -> None:
        """Set the upper end from the positive part of ``x``; if it has none, 1."""
        end = least_error_end(x.relu(), self.levels)
        if end > SMALLEST_STEP:
            self.upper.copy_(end)

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """Upper end and alpha; all gradients need values before rounding. Codes are read by the end."""
        return QuantizerMemory(trained=2, packed=1, reads_value=True, levels=1, graded=True)

    def decode_activations(self, codes: Tensor, levels: Tensor | None) -> Tensor:
        """Code times step, which the upper end gives."""
        assert levels is not None
        return codes.float() * (above_zero(levels[0]) / self.levels)


METHOD = Method(
    "dsq",
    "evenly spaced levels with the gradient of a soft staircase",
    "Gong et al. 2019, arXiv 1908.05033",
    "linear",
    DSQWeight,
    DSQActivation,
    edge_bits=32,
)
