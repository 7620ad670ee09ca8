"""Quantized Neural Networks (Hubara et al. 2016, arXiv 1609.07061): round and clip to a fixed range."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from blockwise.quant.methods.dorefa import DoReFaActivation
from blockwise.quant.quantizer import Method, Quantizer


class _RoundFunction(torch.autograd.Function):
    """The level nearest to C(w, -1, 1), with the gradient of the hard tanh: g 1{|w| <= 1}.

    Both ends pass gradients, for latent weights that are clipped lie on them; those of torch.clamp do
    not.
    """

    @staticmethod
    def forward(ctx: Any, w: Tensor, bits: int) -> Tensor:
        ctx.save_for_backward(w)
        return _levels(_codes(w, bits), bits)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (w,) = ctx.saved_tensors
        return torch.where(w.abs() <= 1, grads[0], 0), None


def _codes(w: Tensor, bits: int) -> Tensor:
    if bits == 1:  # rounding half to even would take 0 for -1
        return (w >= 0).to(w.dtype)
    return ((w.clamp(-1, 1) + 1) * (((1 << bits) - 1) / 2)).round_()


def _levels(codes: Tensor, bits: int) -> Tensor:
    last = (1 << bits) - 1
    return (2 * codes - last) / last


class QNNWeight(Quantizer):
    """The nearest of 2^b evenly spaced levels from -1 to 1; at 1 bit sign(w), with sign(0) = +1.

    The paper's LinearQuant rounds to multiples of a step and clips to fixed ends. Of its grids this is
    the one that includes both ends, as the paper's binary case does: (2k - n) / n with k = 0 .. n and
    n = 2^b - 1. Zero is not among them, so that small weights, which all weights are at the start,
    keep their sign. The latent weights are clipped to [-1, 1] after each step (algorithm 1).
    """

    symmetric = True

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize weights of any shape."""
        return _RoundFunction.apply(x, self.bits)  # type: ignore[no-any-return]

    def constrain(self, latent: Tensor) -> None:
        """Clip to [-1, 1]: beyond it a weight would never move again."""
        latent.clamp_(-1, 1)

    def codes(self, x: Tensor) -> Tensor:
        """Codes 0 .. 2^bits - 1."""
        return _codes(x, self.bits).long()

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """None: the range is fixed."""
        return {}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """(2 code - n) / n with n = 2^bits - 1."""
        return _levels(codes.float(), bits)


METHOD = Method(
    "qnn",
    "evenly spaced levels in [-1, 1], activations in [0, 1]",
    "Hubara et al. 2016, arXiv 1609.07061",
    "linear",
    QNNWeight,
    DoReFaActivation,  # the hard tanh behind a ReLU: the same round and clip to [0, 1]
    edge_bits=32,
    residual="float",  # as in bnn, by the same authors
)
