"""XNOR-Net (Rastegari et al. 2016, arXiv 1603.05279): signs, and a scale for every filter."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from blockwise.quant.methods.bnn import Sign
from blockwise.quant.quantizer import Method, Quantizer, signs
from devices.network.bits import QuantizerMemory


def _filter_means(x: Tensor) -> Tensor:
    """Mean over each filter: (O, ...) -> (O, 1, ...)."""
    return x.reshape(x.shape[0], -1).mean(1).view(-1, *[1] * (x.ndim - 1))


class _XNORFunction(torch.autograd.Function):
    """w_q = a sign(w), a = mean|w| over the filter, differentiated by the product rule.

    dw_i = sign(w_i) / n sum_j g_j sign(w_j) + a g_i 1{|w_i| < 1}: the first part is that of the scale,
    which every weight of the filter moves; the second is the straight-through estimator of the sign.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return signs(x).mul_(_filter_means(x.abs()))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (g,), (x,) = grads, ctx.saved_tensors
        sign = signs(x)
        through_scale = sign * _filter_means(g * sign)
        passed = torch.ops.aten.hardtanh_backward(g * _filter_means(x.abs()), x, -1, 1)
        return through_scale.add_(passed)


class XNORWeight(Quantizer):
    """a sign(w) with sign(0) = +1, and the mean magnitude a of each filter (the first dimension)."""

    symmetric = True
    elementwise = False  # every filter has its own scale

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize weights (O, ...)."""
        return _XNORFunction.apply(x)  # type: ignore[no-any-return]

    def codes(self, x: Tensor) -> Tensor:
        """0 for -a and 1 for +a."""
        return (x >= 0).long()

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """The scale of each filter, (O,)."""
        return {"scale": _filter_means(x.abs()).flatten()}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """(2 code - 1) a."""
        return (2 * codes.float() - 1) * constants["scale"].view(-1, *[1] * (len(shape) - 1))

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """A scale to a filter, made from the weights."""
        return QuantizerMemory(packed=1, per_channel=True)


METHOD = Method(
    "xnor",
    "signs, with the mean magnitude of each filter",
    "Rastegari et al. 2016, arXiv 1603.05279",
    "linear",
    XNORWeight,
    Sign,
    edge_bits=32,
    weight_bits=(1,),
    activation_bits=(1,),
)
