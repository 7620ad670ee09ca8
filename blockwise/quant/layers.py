"""Layers that compute with fake-quantized weights and activations."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from blockwise.layers.weighted import Convolution
from blockwise.quant.quantizer import FLOAT_BITS, Quantizer, signs
from devices.network.ops import Op

GEOMETRY = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
"""Of a convolution beside its channels."""


class _QuantConv(nn.Module):
    """Before a convolution of any rank: its weight, and its input if that is not codes, are quantized."""

    op_kind = "conv"

    def __init__(
        self, conv: Convolution, weight_quantizer: Quantizer,
        input_quantizer: nn.Module | None = None,
    ) -> None:  # fmt: skip
        """Take over the parameters of a float convolution."""
        options: dict[str, Any] = {name: getattr(conv, name) for name in GEOMETRY}
        super().__init__(conv.in_channels, conv.out_channels, bias=False, device="meta", **options)
        self.weight, self.bias = conv.weight, conv.bias
        self.weight_quantizer, self.input_quantizer = weight_quantizer, input_quantizer
        self.made_by: tuple[nn.Module, ...] = ()  # the quantizer of its input, where another layer has it

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, L) -> (B, O, L'), (B, C, H, W) -> (B, O, H', W'), or of volumes alike."""
        if self.input_quantizer is not None:
            input = self.input_quantizer(input)
        weight: Tensor = self.weight_quantizer(self.weight)
        out: Tensor = self._conv_forward(input, weight, self.bias)  # type: ignore[operator]
        return out


class QuantConv1d(_QuantConv, nn.Conv1d):
    """A convolution of signals whose weight, and its input where that is not codes already, are quantized."""


class QuantConv2d(_QuantConv, nn.Conv2d):
    """A convolution whose weight, and its input where that is not codes already, are quantized."""


class QuantConv3d(_QuantConv, nn.Conv3d):
    """A convolution of volumes whose weight, and its input where that is not codes, are quantized."""


QUANT_CONVOLUTIONS = (QuantConv1d, QuantConv2d, QuantConv3d)
"""Of 1, 2 and 3 dimensions of space."""


class QuantLinear(nn.Linear):
    """A linear layer whose weight, and its input where that is not codes already, are quantized."""

    op_kind = "linear"

    def __init__(
        self, linear: nn.Linear, weight_quantizer: Quantizer, input_quantizer: nn.Module | None
    ) -> None:
        """Take over the parameters of a float linear layer."""
        super().__init__(linear.in_features, linear.out_features, bias=False, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.weight_quantizer, self.input_quantizer = weight_quantizer, input_quantizer

    def forward(self, input: Tensor) -> Tensor:
        """(B, I) -> (B, O)."""
        if self.input_quantizer is not None:
            input = self.input_quantizer(input)
        return F.linear(input, self.weight_quantizer(self.weight), self.bias)


QuantWeighted = QuantConv1d | QuantConv2d | QuantConv3d | QuantLinear
"""For isinstance and annotations alike."""


class QuantReLU(nn.Module):
    """A ReLU and the activation quantizer behind it, in one: codes start at zero."""

    op_kind = "relu"

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__()
        self.quantizer = quantizer

    def forward(self, x: Tensor) -> Tensor:
        """Quantized max(x, 0), same shape."""
        return self.quantizer(x)  # type: ignore[no-any-return]


class QuantActivation(nn.Module):
    """Another activation and the quantizer behind it: what lies below zero is read as zero."""

    def __init__(self, form: nn.Module, op: Op, quantizer: nn.Module) -> None:
        """``form`` computes the operation ``op``."""
        super().__init__()
        self.form, self.op, self.quantizer = form, op, quantizer

    def forward(self, x: Tensor) -> Tensor:
        """Quantized values of the activation, same shape."""
        return self.quantizer(self.form(x))  # type: ignore[no-any-return]


class Signed(nn.Module):
    """A quantizer of values on both sides of zero: their sign, and their magnitude as another one has it."""

    def __init__(self, magnitude: Quantizer) -> None:
        super().__init__()
        self.magnitude = magnitude
        magnitude.sign_bits = 1

    @property
    def bits(self) -> int:
        """One more than those of the magnitude; 32 while that passes floats."""
        return min(self.magnitude.bits + 1, FLOAT_BITS)

    def forward(self, x: Tensor) -> Tensor:
        """Quantized values, same shape; the straight-through estimator is that of the magnitude.

        At zero, too, which is one of the levels: sums of codes are exactly zero on integers and seldom in
        floats, and what lies around it passes its gradient.
        """
        side = signs(x.detach())
        return side * self.magnitude(side * x)  # type: ignore[no-any-return]


class Shared(nn.Module):
    """A quantizer of a tensor that several layers read: its codes are made once."""

    def __init__(self, quantizer: Quantizer | Signed, readers: int) -> None:
        super().__init__()
        self.quantizer, self.readers = quantizer, readers
        self._source: Tensor | None = None
        self._codes: Tensor | None = None
        self._left = 0

    @property
    def bits(self) -> int:
        """Those of the quantizer."""
        return self.quantizer.bits

    def forward(self, x: Tensor) -> Tensor:
        """Quantized values, same shape; the last reader lets go of them."""
        if self._codes is None or self._source is not x:
            self._source, self._codes, self._left = x, self.quantizer(x), self.readers
        codes, self._left = self._codes, self._left - 1
        if not self._left:
            self._source = self._codes = None
        return codes


class FloatReLU(nn.Module):
    """What stands before an activation quantizer whose floats a residual sum reads as well."""

    op_kind = "relu"

    def __init__(self, form: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.form = form

    def forward(self, x: Tensor) -> Tensor:
        """The float form of the quantized activation, same shape."""
        return self.form(x)
