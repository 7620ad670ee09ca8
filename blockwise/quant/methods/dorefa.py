"""DoReFa-Net (Zhou et al. 2016, arXiv 1606.06160): fixed levels, tanh-normalised weights."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from blockwise.quant.quantizer import Method, Quantizer, round_ste, signs
from devices.network.bits import QuantizerMemory

SMALLEST_WEIGHT = 1e-12
"""Weights whose largest is below this count as zero."""


def quantize_unit(x: Tensor, bits: int) -> Tensor:
    """Nearest of 2^bits evenly spaced levels in [0, 1] (equation 5); ``x`` lies in [0, 1]."""
    levels = (1 << bits) - 1
    return round_ste(x * levels) / levels


def squash(x: Tensor) -> Tensor:
    """tanh(x) / (2 max|tanh x|) + 1/2, which lies in [0, 1] (the inner part of equation 9)."""
    squashed = x.tanh()
    largest = squashed.abs().amax()
    # All-zero weights have no scale: 1 maps them to the middle and leaves gradients their size.
    largest = torch.where(largest > SMALLEST_WEIGHT, largest, 1)
    return squashed / (2 * largest) + 0.5


class DoReFaWeight(Quantizer):
    """w_q = 2 q(tanh(w) / (2 max|tanh w|) + 1/2) - 1 in [-1, 1]; at 1 bit sign(w) mean|w|."""

    symmetric = True
    idempotent = False  # the tanh moves the levels

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize weights of any shape; the gradient goes through the tanh (equation 9)."""
        if self.bits == 1:  # equation 7: the scale is constant in the backward pass
            value = signs(x.detach()) * x.detach().abs().mean()
            return value + (x - x.detach())  # the bracket is exactly zero: only its gradient counts
        return 2 * quantize_unit(squash(x), self.bits) - 1

    def codes(self, x: Tensor) -> Tensor:
        """Codes 0 .. 2^bits - 1."""
        if self.bits == 1:
            return (x >= 0).long()
        return (squash(x) * ((1 << self.bits) - 1)).round().long()

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """At 1 bit the mean magnitude; else the levels are fixed."""
        return {"scale": x.abs().mean()} if self.bits == 1 else {}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """2 code / (2^bits - 1) - 1."""
        if bits == 1:
            return signs(codes.float() - 0.5) * constants["scale"]
        return 2 * (codes.float() / ((1 << bits) - 1)) - 1

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """One scale at 1 bit; else nothing, but all weights are in the gradient of the largest."""
        return QuantizerMemory(packed=1) if bits == 1 else QuantizerMemory(by_filter=False)


class _DorefaClip(torch.autograd.Function):
    """y = R(n C(x, 0, 1)) / n with dx = g 1{0 <= x <= 1}.

    C - C is 0. With it a compiler keeps x between the passes, or makes it again; with 0 it would keep the
    condition, and storing bools takes it longer than all else that it does here.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, levels: int) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(0, 1).mul_(levels).round_().div_(levels)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        clipped = x.clamp(0, 1)
        return torch.where(clipped == x, grads[0], clipped - clipped), None


class DoReFaActivation(Quantizer):
    """a_q = q(clip(a, 0, 1)): a ReLU is part of it."""

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize activations of any shape."""
        return _DorefaClip.apply(x, (1 << self.bits) - 1)  # type: ignore[no-any-return]

    def codes(self, x: Tensor) -> Tensor:
        """Codes 0 .. 2^bits - 1."""
        return (x.clamp(0, 1) * ((1 << self.bits) - 1)).round().long()

    def decode_activations(self, codes: Tensor, levels: Tensor | None) -> Tensor:
        """Code / (2^b - 1)."""
        return codes.float() / ((1 << self.bits) - 1)


METHOD = Method(
    "dorefa",
    "fixed levels in [0, 1]; tanh-normalised weights",
    "Zhou et al. 2016, arXiv 1606.06160",
    "linear",
    DoReFaWeight,
    DoReFaActivation,
    edge_bits=32,
    residual="float",  # tensorpack, examples/DoReFa-Net/resnet-dorefa.py
)
