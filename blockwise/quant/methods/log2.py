"""Logarithmic numbers (Miyashita et al. 2016, arXiv 1603.01025; Hubara et al. 2016, arXiv 1609.07061)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from blockwise.quant.numeric.estimators import straight_through
from blockwise.quant.numeric.powers import below_half, halvings, magnitudes, table, top_power
from blockwise.quant.quantizer import Method, Quantizer, Role, signs
from devices.network.bits import QuantizerMemory

WIDTHS = (2, 3, 4, 5, 6)
"""At six bits the smallest of 2^5 weights is 2^-31 of the largest; more bits add nothing but zeros."""


class Log2Weight(Quantizer):
    """sign(w) times the nearest of 2^(b-1) powers of two; one bit is the sign, and zero is no level.

    The largest power T follows the weights: the one nearest to max|w| of the tensor, 2^floor(log2(4/3
    max|w|)). Weights below the smallest power take it, with their sign. The gradient passes unchanged.
    """

    symmetric = True

    def configure(self, bits: int) -> None:
        """The number of powers."""
        super().configure(bits)
        self.count = 1 << bits - 1

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize weights of any shape."""
        with torch.no_grad():
            top = self._top(x)
            value = magnitudes(x / top, self.count).mul_(signs(x)).mul_(top)
        return straight_through(x, value)

    def _top(self, x: Tensor) -> Tensor:
        return top_power(x.detach().abs().amax(), self.count)

    def codes(self, x: Tensor) -> Tensor:
        """From -T over the smallest magnitudes to T."""
        step = halvings(magnitudes(x / self._top(x), self.count))
        return torch.where(x >= 0, 2 * self.count - 1 - step, step)

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """The largest power."""
        return {"top": self._top(x)}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """T shifted down, with the sign."""
        powers = table(1 << bits - 1)
        return torch.tensor([*(-p for p in powers), *reversed(powers)])[codes] * constants["top"]

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """The largest power, made from the weights."""
        return QuantizerMemory(packed=1)


class _Log2Function(torch.autograd.Function):
    """The nearest of 0 and ``count`` powers from ``top`` downwards, and g 1{0 < x < 1.5 top}."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, top: Tensor, count: int) -> Tensor:
        ctx.save_for_backward(x, top)
        return _round_up_from_zero(x / top, count).mul_(top)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        x, top = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(grads[0], x / top, 0, 1.5), None, None


def _round_up_from_zero(x: Tensor, count: int) -> Tensor:
    """The nearest of 0, 2^(1 - count), .. 1/2, 1."""
    some = F.threshold(x, below_half(2.0 ** (1 - count), x.dtype), 0).sign_()
    return magnitudes(x, count).mul_(some)


class Log2Activation(Quantizer):
    """The nearest of zero and 2^b - 1 powers of two, a ReLU included.

    The largest power is the one nearest to the largest value of the first batch; values that would
    round to a larger one are clipped to it and get no gradient.
    """

    needs_data = True
    top: Tensor

    def __init__(self, bits: int, role: Role, shape: tuple[int, ...] = ()) -> None:
        super().__init__(bits, role, shape)
        self.register_buffer("top", torch.ones(()))

    def configure(self, bits: int) -> None:
        """The number of powers."""
        super().configure(bits)
        self.count = (1 << bits) - 1

    def initialise(self, x: Tensor) -> None:
        """Set the largest power from ``x``; where nothing is positive it stays 1."""
        if x.amax() > 0:
            self.top.copy_(top_power(x.amax(), self.count))

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize activations of any shape."""
        return _Log2Function.apply(x, self.top, self.count)  # type: ignore[no-any-return]

    def codes(self, x: Tensor) -> Tensor:
        """0 for zero, then from the smallest power to the largest."""
        value = _round_up_from_zero(x / self.top, self.count)
        return torch.where(value > 0, self.count - halvings(value), 0)

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """The largest power."""
        return QuantizerMemory(kept=1, packed=1)


METHOD = Method(
    "log2",
    "powers of two",
    "Miyashita et al. 2016, arXiv 1603.01025; Hubara et al. 2016, arXiv 1609.07061",
    "logarithmic",
    Log2Weight,
    Log2Activation,
    edge_bits=32,
    weight_bits=WIDTHS,
    activation_bits=WIDTHS,
)
