"""CIFAR residual networks with 6n+2 layers and parameter-free shortcuts (He et al. 2016, section 4.2)."""

from collections.abc import Callable

from torch import Tensor, nn

from blockwise.models.parts import PadShortcut, conv3x3, conv_unit, initialise, pooled_classifier
from blockwise.nets.chain import Chain, Unit


class ResidualBlock(nn.Module):
    """relu(norm(conv(relu(norm(conv(x))))) + shortcut(x)): (B, C, H, W) -> (B, channels, H/s, W/s).

    ``shortcut`` makes what stands between stages, of the channels before and behind.
    """

    def __init__(
        self, in_channels: int, channels: int, stride: int,
        shortcut: Callable[[int, int], nn.Module] = PadShortcut,
    ) -> None:  # fmt: skip
        super().__init__()
        plain = stride == 1 and in_channels == channels
        self.shortcut = nn.Identity() if plain else shortcut(in_channels, channels)
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.norm1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = conv3x3(channels, channels)
        self.norm2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """The shortcut comes first, so that going back it is reached last, after the branch."""
        skip = self.shortcut(x)
        x = self.relu1(self.norm1(self.conv1(x)))
        out: Tensor = self.relu2(self.norm2(self.conv2(x)) + skip)
        return out


def resnet(depth: int, in_shape: tuple[int, ...], num_classes: int, width: int) -> Chain:
    """ResNet of ``depth`` = 6n+2 layers; ``width`` channels in the first of three stages.

    ResNet-20 at width 16 on (3, 32, 32) with 10 classes has 269,722 parameters.
    """
    units = [Unit("stem", conv_unit(in_shape[0], width), 0)]
    channels = width
    for stage in range(3):
        for i in range((depth - 2) // 6):
            stride = 2 if stage and not i else 1
            block = ResidualBlock(channels, width << stage, stride)
            units.append(Unit(f"stage{stage + 1}_{i + 1}", block, stage))
            channels = width << stage
    units.append(Unit("classifier", pooled_classifier(channels, num_classes), 2))
    chain = Chain(f"resnet{depth}", units, in_shape, num_classes, width)
    initialise(chain)
    return chain
