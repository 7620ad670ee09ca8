"""A network of three layers with weights, small enough to count by hand.

images 1x4x4 -> conv1 (4 filters 3x3) -> norm1 -> relu1 | conv2 (4 filters 3x3) -> norm2 -> relu2 ->
flatten -> linear (3 classes). The bar is where it is cut; block A has a global-average-pool head.
"""

from devices.network import IMAGES, LABELS, Block, Layer, Network
from devices.network.ops import AdaptiveAvgPool, BatchNorm, Conv, CrossEntropy, Linear, ReLU, View

MAP = (4, 4, 4)

BODY_A = (
    Layer("conv1", Conv.square(1, 4), (IMAGES,), MAP, precision="edge"),
    Layer("norm1", BatchNorm(4), ("conv1",), MAP),
    Layer("relu1", ReLU(), ("norm1",), MAP),
)
HEAD_A = (
    Layer("gap", AdaptiveAvgPool((1, 1)), ("relu1",), (4, 1, 1), precision="float"),
    Layer("flat", View(), ("gap",), (4,), precision="float"),
    Layer("classify", Linear(4, 3, bias=True), ("flat",), (3,), precision="float"),
    Layer("loss_a", CrossEntropy(), ("classify", LABELS), (), precision="float"),
)
BODY_B = (
    Layer("conv2", Conv.square(4, 4), ("relu1",), MAP),
    Layer("norm2", BatchNorm(4), ("conv2",), MAP),
    Layer("relu2", ReLU(), ("norm2",), MAP, precision="edge"),
    Layer("flatten", View(), ("relu2",), (64,)),
    Layer("linear", Linear(64, 3, bias=True), ("flatten",), (3,), precision="edge"),
)
HEAD_B = (Layer("loss_b", CrossEntropy(), ("linear", LABELS), (), precision="float"),)

NETWORK = Network((1, 4, 4), (Block("A", BODY_A, HEAD_A), Block("B", BODY_B, HEAD_B)))
