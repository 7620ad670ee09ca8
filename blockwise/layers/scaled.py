"""Factors and summands as modules: numbers of the code, or trained ones of channels."""

import torch
from torch import Tensor, nn


class Scaled(nn.Module):
    """``factor`` x, or x + ``shift``, for x of any shape: numbers that stand in the code.

    Through a factor of zero no gradient goes.
    """

    op_kind = "scale"

    def __init__(self, factor: float = 1.0, shift: float = 0.0) -> None:
        super().__init__()
        self.factor, self.shift = factor, shift

    def forward(self, x: Tensor) -> Tensor:
        """One of the two."""
        if not self.factor:
            return torch.zeros_like(x)
        return x + self.shift if self.factor == 1 else x * self.factor

    def extra_repr(self) -> str:
        """The number."""
        return f"shift={self.shift:g}" if self.factor == 1 else f"factor={self.factor:g}"


class ChannelScale(nn.Module):
    """weight x + bias with one of each per channel, (B, C, ...) -> the same shape; None for none.

    The factors are the layer scale of Touvron et al. 2021 (arXiv 2103.17239). With ``sides``, a shape without
    the batch, they stand so beside the map, as a summand for each place and channel does.
    """

    op_kind = "affine"
    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(
        self, weight: Tensor | None = None, bias: Tensor | None = None, sides: tuple[int, ...] = ()
    ) -> None:
        """From first values (C,), or as many as ``sides`` have places."""
        super().__init__()
        self.sides = sides
        for name, value in (("weight", weight), ("bias", bias)):
            made = None if value is None else nn.Parameter(value.detach().clone())
            self.register_parameter(name, made)

    def forward(self, x: Tensor) -> Tensor:
        """Channel by channel."""
        shape = self.sides or (-1, *[1] * (x.ndim - 2))
        if self.weight is None:
            assert self.bias is not None
            return x + self.bias.view(shape)
        x = x * self.weight.view(shape)
        return x if self.bias is None else x + self.bias.view(shape)


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each position, (B, C, ...) -> the same shape."""

    op_kind = "channel_norm"
    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(self, channels: int, eps: float = 1e-5, *, affine: bool = True) -> None:
        super().__init__()
        self.channels, self.eps = channels, eps
        self.register_parameter("weight", nn.Parameter(torch.ones(channels)) if affine else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros(channels)) if affine else None)

    def forward(self, x: Tensor) -> Tensor:
        """As the layer norm of the map whose channels stand last."""
        last = nn.functional.layer_norm(x.movedim(1, -1), (self.channels,), self.weight, self.bias, self.eps)
        return last.movedim(-1, 1)
