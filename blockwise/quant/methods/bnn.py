"""Binarized neural networks (Hubara et al. 2016, arXiv 1602.02830): weights and activations of one bit."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from blockwise.quant.numeric.estimators import within
from blockwise.quant.quantizer import Method, ParameterRule, Quantizer, signs


class _SignFunction(torch.autograd.Function):
    """sign(x), and g 1{|x| <= 1} backward (section 1.3)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return signs(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return within(grads[0], x, -1, 1)


class Sign(Quantizer):
    """-1 or +1, with sign(0) = +1; the gradient passes where |x| <= 1, both ends included.

    Of activations it takes the place of the ReLU: both signs are codes. In float it is a hard tanh, as in
    the authors' networks.
    """

    symmetric = True

    @staticmethod
    def float_form(x: Tensor) -> Tensor:
        """The hard tanh. (torch's own passes gradients on in the memory layout of g, not that of x.)"""
        return x.clamp(-1, 1)

    def quantize(self, x: Tensor) -> Tensor:
        """The signs of ``x``, any shape."""
        return _SignFunction.apply(x)  # type: ignore[no-any-return]

    def codes(self, x: Tensor) -> Tensor:
        """0 for -1 and 1 for +1."""
        return (x >= 0).long()


class BNNWeight(Sign):
    """Signs of latent weights that stay in [-1, 1], beyond which they would get no gradient.

    Decay would pull latent weights to zero, where their signs flip, and change no value: there is none.
    """

    weight_rule = ParameterRule()

    def constrain(self, latent: Tensor) -> None:
        """Clip to [-1, 1], where the gradient still passes."""
        latent.clamp_(-1, 1)

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """None."""
        return {}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """2 code - 1."""
        return 2 * codes.float() - 1


METHOD = Method(
    "bnn",
    "signs of weights and activations",
    "Hubara et al. 2016, arXiv 1602.02830",
    "linear",
    BNNWeight,
    Sign,
    edge_bits=32,
    weight_bits=(1,),
    activation_bits=(1,),
    residual="float",  # itayhubara/BinaryNet.pytorch, models/resnet_binary.py
)
