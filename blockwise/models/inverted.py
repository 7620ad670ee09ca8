"""The network of inverted residuals that MCUNet found for 5 images a second on a microcontroller.

Blocks of Sandler et al. 2018 (arXiv 1801.04381) with sizes by Lin et al. 2020 (arXiv 2007.10319), as
tiny-training's mcunet-5fps has them (Lin et al. 2022, arXiv 2206.15472).
"""

from dataclasses import dataclass

from torch import Tensor, nn

from blockwise.layers.named import named
from blockwise.models.parts import conv3x3, initialise, pooled_classifier
from blockwise.nets.chain import Chain, Unit

PUBLISHED_WIDTH = 16


@dataclass(frozen=True)
class Sizes:
    """Of a block at the published width."""

    hidden: int
    channels: int
    side: int = 3
    stride: int = 1


BLOCKS = (
    Sizes(16, 8), Sizes(32, 16, stride=2), Sizes(48, 16), Sizes(48, 24, 7, 2), Sizes(120, 24),
    Sizes(120, 40, stride=2), Sizes(160, 40, 7), Sizes(160, 48, 5), Sizes(144, 48), Sizes(192, 48),
    Sizes(240, 96, 7, 2), Sizes(384, 96, 5), Sizes(384, 96, 5), Sizes(576, 160),
)  # fmt: skip


class InvertedResidual(nn.Module):
    """1x1 to ``hidden`` channels, a convolution of each, 1x1 back; and a skip path between equal shapes.

    The first block widens nothing, and no activation stands behind the last convolution.
    """

    def __init__(self, in_channels: int, hidden: int, channels: int, side: int, stride: int) -> None:
        super().__init__()
        self.skips = stride == 1 and in_channels == channels
        expand = {}
        if hidden != in_channels:
            wider = nn.Conv2d(in_channels, hidden, 1, bias=False)
            expand = {"expand": wider, "norm1": nn.BatchNorm2d(hidden), "relu1": nn.ReLU6()}
        self.layers = named(
            **expand,
            depthwise=nn.Conv2d(hidden, hidden, side, stride, side // 2, groups=hidden, bias=False),
            norm2=nn.BatchNorm2d(hidden), relu2=nn.ReLU6(),
            project=nn.Conv2d(hidden, channels, 1, bias=False), norm3=nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, channels, H/s, W/s)."""
        out: Tensor = self.layers(x)
        return out + x if self.skips else out


def mcunet(in_shape: tuple[int, ...], num_classes: int, width: int) -> Chain:
    """14 blocks; ``width`` channels in the first convolution, 16 as published, the others in proportion."""

    def scaled(channels: int) -> int:
        return max(1, channels * width // PUBLISHED_WIDTH)

    stem = named(conv=conv3x3(in_shape[0], width, 2), norm=nn.BatchNorm2d(width), relu=nn.ReLU6())
    units = [Unit("stem", stem, 0)]
    channels = width
    stage = 0
    for i, s in enumerate(BLOCKS):
        stage += s.stride > 1
        block = InvertedResidual(channels, scaled(s.hidden), scaled(s.channels), s.side, s.stride)
        units.append(Unit(f"block{i + 1}", block, stage))
        channels = scaled(s.channels)
    units.append(Unit("classifier", pooled_classifier(channels, num_classes), stage))
    chain = Chain("mcunet-5fps", units, in_shape, num_classes, width)
    initialise(chain)
    return chain
