"""Convolutions of single places a stride apart, which are given the places that they read alone.

With channels last in memory and fewer channels than a vector holds, oneDNN makes wrong weight gradients of
these, writes beyond its buffer, or comes to no end: so in PyTorch 2.15 on AVX2, and open as
https://github.com/uxlfoundation/oneDNN/issues/6035.
"""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

VECTOR = 16
"""Floats in the longest vector, that of AVX-512."""


def reads_apart(conv: nn.Conv2d) -> bool:
    """Whether it is one of those, with so few channels."""
    alone = conv.padding in ((0, 0), "valid") and are_apart(conv.kernel_size, conv.stride)
    return alone and conv.in_channels // conv.groups < VECTOR


def are_apart(kernel: Sequence[int], stride: Sequence[int]) -> bool:
    """Whether a kernel of these sides reads single places with others between them."""
    return set(kernel) == {1} and max(stride) > 1


def places(x: Tensor, stride: Sequence[int]) -> Tensor:
    """Those of (B, C, H, W) that are ``stride`` apart, (B, C, H', W'); so for other dimensions of space."""
    of_space: list[slice] = [slice(None, None, step) for step in stride]
    return x[(slice(None), slice(None), *of_space)]


def thin(net: nn.Module) -> None:
    """Let all of ``net`` read their places alone: the same sums and gradients."""
    for conv in net.modules():
        if isinstance(conv, nn.Conv2d) and reads_apart(conv):
            vars(conv)["_conv_forward"] = partial(_of_places, conv)


def _of_places(conv: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.conv2d(places(x, conv.stride), weight, bias, groups=conv.groups)
