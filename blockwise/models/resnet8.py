"""The residual network of MLPerf Tiny's image classification (Banbury et al. 2021, arXiv 2106.07597)."""

from torch import Tensor, nn

from blockwise.models.parts import conv3x3, conv_unit, initialise, pooled_classifier
from blockwise.nets.chain import Chain, Unit

STAGES = 3


class ConvShortcutBlock(nn.Module):
    """relu(norm(conv(relu(norm(conv(x))))) + shortcut(x)); the shortcut is a 1x1 convolution, or nothing."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        plain = stride == 1 and in_channels == channels
        self.shortcut = nn.Identity() if plain else nn.Conv2d(in_channels, channels, 1, stride)
        self.conv1, self.norm1 = conv3x3(in_channels, channels, stride), nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2, self.norm2 = conv3x3(channels, channels), nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """The shortcut comes first, so that going back it is reached last, after the branch."""
        skip = self.shortcut(x)
        x = self.relu1(self.norm1(self.conv1(x)))
        out: Tensor = self.relu2(self.norm2(self.conv2(x)) + skip)
        return out


def resnet8(in_shape: tuple[int, ...], num_classes: int, width: int) -> Chain:
    """One block in each of three stages; ``width`` channels in the first one, 16 as published."""
    units = [Unit("stem", conv_unit(in_shape[0], width), 0)]
    channels = width
    for stage in range(STAGES):
        block = ConvShortcutBlock(channels, width << stage, 2 if stage else 1)
        units.append(Unit(f"stage{stage + 1}", block, stage))
        channels = width << stage
    units.append(Unit("classifier", pooled_classifier(channels, num_classes), STAGES - 1))
    chain = Chain("resnet8", units, in_shape, num_classes, width)
    initialise(chain)
    return chain
