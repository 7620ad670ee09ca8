"""A network of three layers with weights, small enough to count by hand.

images 1x4x4 -> conv1 (4 filters 3x3) -> norm1 -> relu1 | conv2 (4 filters 3x3) -> norm2 -> relu2 ->
flatten -> linear (3 classes). The bar is where it is cut; block A has a global-average-pool head.
"""

from devices.network import IMAGES, LABELS, Block, Layer, Network

MAP = (4, 4, 4)

BODY_A = (
    Layer("conv1", "conv", (IMAGES,), MAP, weights=36, filter_size=9, precision="edge"),
    Layer("norm1", "batch_norm", ("conv1",), MAP, biases=8, buffers=8),
    Layer("relu1", "relu", ("norm1",), MAP),
)
HEAD_A = (
    Layer("gap", "avg_pool", ("relu1",), (4, 1, 1), precision="float"),
    Layer("flat", "view", ("gap",), (4,), precision="float"),
    Layer("classify", "linear", ("flat",), (3,), weights=12, biases=3, filter_size=4, precision="float"),
    Layer("loss_a", "cross_entropy", ("classify", LABELS), (), precision="float"),
)
BODY_B = (
    Layer("conv2", "conv", ("relu1",), MAP, weights=144, filter_size=36),
    Layer("norm2", "batch_norm", ("conv2",), MAP, biases=8, buffers=8),
    Layer("relu2", "relu", ("norm2",), MAP, precision="edge"),
    Layer("flatten", "view", ("relu2",), (64,)),
    Layer("linear", "linear", ("flatten",), (3,), weights=192, biases=3, filter_size=64, precision="edge"),
)
HEAD_B = (Layer("loss_b", "cross_entropy", ("linear", LABELS), (), precision="float"),)

NETWORK = Network((1, 4, 4), (Block("A", BODY_A, HEAD_A), Block("B", BODY_B, HEAD_B)))
