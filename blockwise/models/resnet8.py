"""The residual network of MLPerf Tiny's image classification (Banbury et al. 2021, arXiv 2106.07597)."""

from torch import nn

from blockwise.models.parts import conv_unit, initialise, pooled_classifier
from blockwise.models.resnet import ResidualBlock
from blockwise.nets.chain import Chain, Unit

STAGES = 3


def projection(in_channels: int, channels: int) -> nn.Module:
    """The shortcut between stages: every second pixel, mixed to the channels of the next stage."""
    return nn.Conv2d(in_channels, channels, 1, stride=2)


def resnet8(in_shape: tuple[int, ...], num_classes: int, width: int) -> Chain:
    """One block in each of three stages; ``width`` channels in the first one, 16 as published."""
    units = [Unit("stem", conv_unit(in_shape[0], width), 0)]
    channels = width
    for stage in range(STAGES):
        block = ResidualBlock(channels, width << stage, 2 if stage else 1, projection)
        units.append(Unit(f"stage{stage + 1}", block, stage))
        channels = width << stage
    units.append(Unit("classifier", pooled_classifier(channels, num_classes), STAGES - 1))
    chain = Chain("resnet8", units, in_shape, num_classes, width)
    initialise(chain)
    return chain
