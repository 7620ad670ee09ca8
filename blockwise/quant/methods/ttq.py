"""Trained ternary quantization (Zhu et al. 2017, arXiv 1612.01064): -Wn, 0 and +Wp, both trained."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from blockwise.quant.methods.twn import ternary_codes
from blockwise.quant.numeric.ranges import above_zero
from blockwise.quant.quantizer import SIZE, Method, ParameterRule, Quantizer, Role
from devices.network.bits import QuantizerMemory

THRESHOLD = 0.05
"""Of the largest magnitude."""


class _TTQFunction(torch.autograd.Function):
    """+Wp where w > D, -Wn where w < -D, else 0, and its three gradients.

    Each level gets the sum of its weights' gradients, unscaled; latent weights get theirs times the
    level, and unchanged between the thresholds.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, positive: Tensor, negative: Tensor, threshold: Tensor) -> Tensor:
        ctx.save_for_backward(x, positive, negative, threshold)
        return torch.where(x > threshold, positive, torch.where(x < -threshold, -negative, 0))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        (g,) = grads
        x, positive, negative, threshold = ctx.saved_tensors
        above, below = x > threshold, x < -threshold
        factor = torch.where(above, positive, torch.where(below, negative, 1))
        return g * factor, torch.where(above, g, 0).sum(), -torch.where(below, g, 0).sum(), None


class TTQ(Quantizer):
    """Ternary weights with two trained levels; the threshold is D = 0.05 max|w| of the tensor.

    Both levels start at 1, far above the weights they stand for: a norm behind the layer takes the
    difference, and a network without norms needs another method. They move by shares of themselves here,
    so that neither reaches zero, which is a level (blockwise/training/sizes.py). The paper fine-tunes
    trained float weights; a bit chain from 32 to 2 bits does.
    """

    idempotent = False  # a level below 0.05 of the other is zero to the next pass
    rules: ClassVar[Mapping[str, ParameterRule]] = {"positive": SIZE, "negative": SIZE}

    def __init__(self, bits: int, role: Role, shape: tuple[int, ...] = ()) -> None:
        super().__init__(bits, role, shape)
        self.positive = nn.Parameter(torch.ones(()))
        self.negative = nn.Parameter(torch.ones(()))

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize weights of any shape."""
        return _TTQFunction.apply(x, *self._levels(), self._threshold(x))  # type: ignore[no-any-return]

    def _levels(self) -> tuple[Tensor, Tensor]:
        """Wp and Wn."""
        return above_zero(self.positive), above_zero(self.negative)

    @staticmethod
    def _threshold(x: Tensor) -> Tensor:
        return THRESHOLD * x.detach().abs().amax()

    def codes(self, x: Tensor) -> Tensor:
        """0, 1 and 2."""
        return ternary_codes(x, self._threshold(x))

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """Both levels."""
        positive, negative = self._levels()
        return {"positive": positive.detach(), "negative": negative.detach()}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """-Wn, 0 or +Wp."""
        positive, negative = constants["positive"], constants["negative"]
        return torch.stack([-negative, torch.zeros_like(negative), positive])[codes]

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """The two levels; the threshold is that of the whole layer."""
        return QuantizerMemory(trained=2, packed=2, by_filter=False)


METHOD = Method(
    "ttq",
    "-Wn, 0 and +Wp, both levels trained",
    "Zhu et al. 2017, arXiv 1612.01064",
    "linear",
    TTQ,
    None,
    edge_bits=32,
    weight_bits=(2,),
    partner="lsq",
)
