"""QIL: Quantization Interval Learning (Jung et al. 2019, arXiv 1808.05779)."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from blockwise.quant.numeric.ranges import SMALLEST_STEP, above_zero, inner, least_error_end
from blockwise.quant.quantizer import BITS, Method, ParameterRule, Quantizer, Role, round_ste, signs
from devices.network.bits import QuantizerMemory

SMALLEST_SHARE = 1e-6
"""Below it a value counts as pruned: the slope of share^gamma may be infinite at 0."""

INTERVAL_RULE, DISTANCE_RULE = ParameterRule(lr_scale=0.01), ParameterRule(lr_scale=0.01, size=True)
"""Every element moves the interval, which is why it learns at a hundredth of the weights' rate."""


def transform(w: Tensor, low: Tensor, width: Tensor, gamma: Tensor) -> Tensor:
    """sign(w) share^gamma, where share is the place of |w| in the interval; 0 below it, 1 above."""
    sign = signs(w)
    share = (w * sign - low) / width
    pruned = share < SMALLEST_SHARE
    bounded = torch.where(share > 1, 1, torch.where(pruned, SMALLEST_SHARE, share))
    return sign * torch.where(pruned, 0, bounded.pow(gamma))


class _Interval(Quantizer):
    """The trained interval from c - d to c + d: values below are pruned to 0, values above clipped.

    In the paper's terms alpha v + beta = 0.5 v / d + 0.5 - 0.5 c / d = (v - (c - d)) / (2 d). The
    interval starts at zero and ends where the squared error is least. The distance moves by shares of
    itself here, so that it stays above zero (blockwise/training/sizes.py).
    """

    needs_data = True
    idempotent = False  # levels lie in [-1, 1] wherever the interval lies
    rules: ClassVar[Mapping[str, ParameterRule]] = {"center": INTERVAL_RULE, "distance": DISTANCE_RULE}
    levels: int

    def __init__(self, bits: int, role: Role, shape: tuple[int, ...] = ()) -> None:
        super().__init__(bits, role, shape)
        self.center, self.distance = nn.Parameter(torch.full((), 0.5)), nn.Parameter(torch.full((), 0.5))

    def _start_at(self, end: Tensor) -> None:
        """Let the interval end at ``end``, or stay if that is zero."""
        if end > SMALLEST_STEP:
            self.center.copy_(end / 2)
            self.distance.copy_(end / 2)

    def _interval(self) -> tuple[Tensor, Tensor]:
        """Its low end and its width."""
        distance = above_zero(self.distance)
        return self.center - distance, 2 * distance


class QILWeight(_Interval):
    """w_q = R(q w^) / q with q = 2^(b-1) - 1 and w^ = sign(w) ((|w| - (c - d)) / (2 d))^gamma.

    Codes are w_q q + q, of which the last, 2^b - 1, is not used. Gradients are those of w^; rounding
    passes them. Gamma starts at 1.
    """

    symmetric = True
    rules: ClassVar[Mapping[str, ParameterRule]] = {**_Interval.rules, "gamma": DISTANCE_RULE}

    def __init__(self, bits: int, role: Role, shape: tuple[int, ...] = ()) -> None:
        super().__init__(bits, role, shape)
        self.gamma = nn.Parameter(torch.ones(()))

    def configure(self, bits: int) -> None:
        """Levels above zero."""
        super().configure(bits)
        self.levels = _positive_levels(bits)

    def initialise(self, x: Tensor) -> None:
        """Set the interval from the magnitudes of ``x``; constant zeros leave it at [0, 1]."""
        self._start_at(least_error_end(x.abs(), self.levels))

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize weights of any shape."""
        return round_ste(self._transformed(x) * self.levels) / self.levels

    def _transformed(self, x: Tensor) -> Tensor:
        return transform(x, *self._interval(), above_zero(self.gamma))

    def codes(self, x: Tensor) -> Tensor:
        """Codes 0 .. 2^bits - 2."""
        return (self._transformed(x) * self.levels).round().long() + self.levels

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """None: the levels are fixed, only what goes to them is trained."""
        return {}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """(code - q) / q."""
        levels = _positive_levels(bits)
        return (codes - levels).float() / levels

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """Center, distance and gamma, in training only."""
        return QuantizerMemory(trained=3, reads_value=True)


def _positive_levels(bits: int) -> int:
    return (1 << bits - 1) - 1


class _IntervalFunction(torch.autograd.Function):
    """y = R(q C((a - low) / width, 0, 1)) / q of a = max(x, 0); rounding passes gradients.

    da = g / width inside the interval, both ends inclusive; d low = -sum da; d width = -sum da (a - low)
    / width. An interval that begins below zero reads what the ReLU has cut as zeros within it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: Tensor, width: Tensor, levels: int) -> Tensor:
        ctx.save_for_backward(x, low, width)
        return (x.clamp_min(0) - low).div_(width).clamp_(0, 1).mul_(levels).round_().div_(levels)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, low, width = ctx.saved_tensors
        a = x.clamp_min(0)
        inside = ((x >= low) | (low < 0)) & (a <= low + width)
        g_a = torch.where(inside, grads[0], 0).div_(width)
        total = g_a.sum()
        return torch.where(x >= 0, g_a, 0), -total, (low * total - inner(g_a, a)) / width, None


class QILActivation(_Interval):
    """a_q = R(q C((a - (c - d)) / (2 d), 0, 1)) / q with q = 2^b - 1; gamma is 1. A ReLU is part of it."""

    def configure(self, bits: int) -> None:
        """The largest code."""
        super().configure(bits)
        self.levels = (1 << bits) - 1

    def initialise(self, x: Tensor) -> None:
        """Set the interval from the positive part of ``x``; if it has none, [0, 1]."""
        self._start_at(least_error_end(x.relu(), self.levels))

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize activations of any shape."""
        return _IntervalFunction.apply(x, *self._interval(), self.levels)  # type: ignore[no-any-return]

    def codes(self, x: Tensor) -> Tensor:
        """Codes 0 .. 2^bits - 1."""
        low, width = self._interval()
        return ((x.clamp_min(0) - low) / width).clamp(0, 1).mul(self.levels).round().long()

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """Center and distance, whose gradients need values before rounding; codes are read without them."""
        return QuantizerMemory(trained=2, packed=2, reads_value=True, levels=0)


METHOD = Method(
    "qil",
    "trained intervals that prune below and clip above",
    "Jung et al. 2019, arXiv 1808.05779",
    "linear",
    QILWeight,
    QILActivation,
    edge_bits=32,
    weight_bits=BITS[1:],  # one bit would have no level but zero
)
