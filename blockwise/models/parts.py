"""Building parts that the model families share."""

import math

from torch import Tensor, nn

from blockwise.layers.named import named
from blockwise.layers.weighted import Convolution


class PadShortcut(nn.Module):
    """Parameter-free shortcut between stages: every second pixel, missing channels are zero.

    (B, C, H, W) -> (B, channels, ceil(H/2), ceil(W/2)). He et al. 2016, "option A".
    """

    op_kind = "shortcut"

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        extra = channels - in_channels
        self.stride, self.added_channels = 2, (extra // 2, extra - extra // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Subsample in space, pad in channels."""
        return nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, *self.added_channels))


def conv3x3(in_channels: int, channels: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size at stride 1; a norm follows, so it has no bias."""
    return nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)


def conv_unit(in_channels: int, channels: int, *, pool: bool = False) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU and, if asked, a 2x2 max pool."""
    conv = conv3x3(in_channels, channels)
    tail = {"pool": nn.MaxPool2d(2)} if pool else {}
    return named(conv=conv, norm=nn.BatchNorm2d(channels), relu=nn.ReLU(), **tail)


def linear_unit(in_features: int, features: int, *, flatten: bool = False) -> nn.Sequential:
    """Linear layer, batch norm and ReLU, behind a flatten if the input is an image."""
    front = {"flatten": nn.Flatten()} if flatten else {}
    linear = nn.Linear(in_features, features, bias=False)
    return named(**front, linear=linear, norm=nn.BatchNorm1d(features), relu=nn.ReLU())


def pooled_classifier(channels: int, num_classes: int) -> nn.Sequential:
    """Global average pool and a linear layer: (B, C, H, W) -> (B, num_classes)."""
    linear = nn.Linear(channels, num_classes)
    return named(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), linear=linear)


def initialise(module: nn.Module) -> None:
    """Kaiming-normal convolutions (fan out, He et al. 2015), uniform linear layers as in PyTorch."""
    for layer in module.modules():
        if isinstance(layer, Convolution):
            fan_out = layer.out_channels // layer.groups * math.prod(layer.kernel_size)
            nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_out))
