"""Layers that compute with fake-quantized weights and activations."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from blockwise.quant.quantizer import Quantizer


class QuantConv2d(nn.Conv2d):
    """A convolution whose weight, and its input where that is not codes already, are quantized."""

    def __init__(
        self, conv: nn.Conv2d, weight_quantizer: Quantizer, input_quantizer: Quantizer | None = None
    ) -> None:
        """Take over the parameters of a float convolution."""
        options: dict[str, Any] = {
            name: getattr(conv, name)
            for name in ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
        }
        super().__init__(conv.in_channels, conv.out_channels, bias=False, device="meta", **options)
        self.weight, self.bias = conv.weight, conv.bias
        self.weight_quantizer, self.input_quantizer = weight_quantizer, input_quantizer

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, H', W')."""
        if self.input_quantizer is not None:
            input = self.input_quantizer(input)
        weight: Tensor = self.weight_quantizer(self.weight)
        out: Tensor = self._conv_forward(input, weight, self.bias)
        return out


class QuantLinear(nn.Linear):
    """A linear layer whose weight, and its input where that is not codes already, are quantized."""

    def __init__(
        self, linear: nn.Linear, weight_quantizer: Quantizer, input_quantizer: Quantizer | None
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


class QuantReLU(nn.Module):
    """A ReLU and the activation quantizer behind it, in one: codes start at zero."""

    op_kind = "relu"

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__()
        self.quantizer = quantizer

    def forward(self, x: Tensor) -> Tensor:
        """Quantized max(x, 0), same shape."""
        return self.quantizer(x)  # type: ignore[no-any-return]


class FloatReLU(nn.Module):
    """What stands before an activation quantizer whose floats a residual sum reads as well."""

    op_kind = "relu"

    def __init__(self, form: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.form = form

    def forward(self, x: Tensor) -> Tensor:
        """The float form of the quantized activation, same shape."""
        return self.form(x)
