"""Networks of depthwise separable convolutions: DS-CNN for keywords and MobileNet at a quarter of its width.

Howard et al. 2017 (arXiv 1704.04861); Zhang et al. 2017 (arXiv 1711.07128); both as MLPerf Tiny has them
(Banbury et al. 2021, arXiv 2106.07597), whose biases before norms ``--bias`` brings back.
"""

from torch import nn

from blockwise.layers.named import named
from blockwise.models.parts import conv3x3, initialise, pooled_classifier
from blockwise.nets.chain import Chain, Unit

DS_CNN_BLOCKS = 4

# Of each block of MobileNet: its channels as multiples of the first convolution's, and its stride.
MOBILENET = (
    (2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), (16, 1), (16, 1), (16, 1), (16, 1), (16, 1), (32, 2),
    (32, 1),
)  # fmt: skip


def separable_unit(in_channels: int, channels: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution of each channel, then one of 1x1 over all; each with batch norm and ReLU."""
    depthwise = nn.Conv2d(in_channels, in_channels, 3, stride, 1, groups=in_channels, bias=False)
    pointwise = nn.Conv2d(in_channels, channels, 1, bias=False)
    return named(
        depthwise=depthwise, norm1=nn.BatchNorm2d(in_channels), relu1=nn.ReLU(),
        pointwise=pointwise, norm2=nn.BatchNorm2d(channels), relu2=nn.ReLU(),
    )  # fmt: skip


def _stem(conv: nn.Conv2d) -> nn.Sequential:
    return named(conv=conv, norm=nn.BatchNorm2d(conv.out_channels), relu=nn.ReLU())


def ds_cnn(in_shape: tuple[int, ...], num_classes: int, width: int) -> Chain:
    """A 10x4 convolution of stride 2 and four separable ones, for 1x49x10: frames by coefficients.

    At width 64 in 12 classes it has 23,756 parameters with its biases, and 2,656,768 multiply-accumulates.
    """
    sides = min(10, in_shape[1] + 10), min(4, in_shape[2] + 2)  # of a few pixels with what is around them
    conv = nn.Conv2d(in_shape[0], width, sides, 2, (5, 1), bias=False)
    units = [Unit("stem", _stem(conv), 0)]
    units += [Unit(f"block{i + 1}", separable_unit(width, width), 0) for i in range(DS_CNN_BLOCKS)]
    return _finished("ds-cnn", units, width, in_shape, num_classes, width)


def mobilenet(in_shape: tuple[int, ...], num_classes: int, width: int) -> Chain:
    """13 separable convolutions behind one of ``width`` channels, 8 at a multiplier of 0.25; for 3x96x96."""
    units = [Unit("stem", _stem(conv3x3(in_shape[0], width, 2)), 0)]
    channels = width
    stage = 0
    for i, (factor, stride) in enumerate(MOBILENET):
        stage += stride > 1
        units.append(Unit(f"block{i + 1}", separable_unit(channels, factor * width, stride), stage))
        channels = factor * width
    return _finished("mobilenet-0.25", units, channels, in_shape, num_classes, width)


def _finished(
    name: str, units: list[Unit], channels: int, in_shape: tuple[int, ...], num_classes: int, width: int
) -> Chain:
    units.append(Unit("classifier", pooled_classifier(channels, num_classes), units[-1].stage))
    chain = Chain(name, units, in_shape, num_classes, width)
    initialise(chain)
    return chain
