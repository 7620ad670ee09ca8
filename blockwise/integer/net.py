"""An integer network made from a float one: the same layers in the same blocks with the same heads."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from blockwise.integer.arithmetic import Arithmetic, Place, Scored
from blockwise.integer.jumps import Jumps
from blockwise.integer.layers import (
    Flatten,
    IntegerAvgPool,
    IntegerLayer,
    IntegerMaxPool,
    Layers,
    Pixels,
    Weighted,
    weighted,
)
from blockwise.integer.nitro import Nitro
from blockwise.integer.ops import STEADY, Steps
from blockwise.integer.tensor import IntTensor
from blockwise.integer.update import FIRST_MU
from blockwise.integer.xorshift import Xorshift32
from blockwise.nets.blocks import BlockNet
from blockwise.nets.trainable import TrainableNet
from devices.errors import InputError
from devices.network import Block, Layer, Network, ops
from devices.network.ops import Conv, Linear, Quantize, ReLU
from devices.network.precision import with_precision
from devices.network.trace import links
from devices.program.integer import integer_network

FIRST_STREAM = 1
"""Layer i draws its first weights, then its steps, from stream 1 + i of the seed."""


class IntegerHead(nn.Module):
    """A classifier behind a block, or nothing behind the last one, and the loss of its logits."""

    minimum_batch = 1

    def __init__(self, arithmetic: Arithmetic, layers: list[IntegerLayer]) -> None:
        super().__init__()
        self.arithmetic, self.classify = arithmetic, Layers(layers)

    def score(self, h: IntTensor, y: Tensor) -> Scored:
        """The loss of a block's output (B, ...) under labels (B,)."""
        return self.arithmetic.loss(self.classify(h), y)

    def score_each(self, h: IntTensor, y: Tensor) -> Scored:
        """The same of images that each have their own exponents."""
        return self.arithmetic.loss(self.classify.each(h), y)

    def forward(self, h: IntTensor, y: Tensor) -> float:
        """The mean loss, for people."""
        return self.arithmetic.mean_loss(int(self.score(h, y).total), len(y))

    def logits(self, h: IntTensor) -> Tensor:
        """Mantissas of the class scores (B, K)."""
        scores: IntTensor = self.classify(h)
        return scores.mantissa


class IntegerNet(TrainableNet):
    """Blocks of integer layers with integer heads; takes uint8 images (B, C, H, W).

    ``mu`` is the learning rate of the steps to come, in bits; ``jumps`` tells when states of weights jump,
    where that is not behind every batch.
    """

    alone = False
    jumps: Jumps | None = None

    def __init__(self, float_net: BlockNet, arithmetic: Arithmetic, seed: int) -> None:
        """Of the float network only the structure counts; biases are left out, as NITI has none.

        Raises InputError for a layer that has no integer form.
        """
        super().__init__()
        self.names, self.arithmetic, self.mu, self.seed = float_net.names, arithmetic, FIRST_MU, seed
        build = _Builder(arithmetic, float_net, seed)
        bodies = [build.body(index) for index in range(len(float_net))]
        self.bodies = nn.ModuleList(Layers(layers) for layers in ([Pixels(), *bodies[0]], *bodies[1:]))
        self.tails = nn.ModuleList(nn.Sequential() for _ in bodies)  # heads read what blocks give
        self.heads = nn.ModuleList(
            IntegerHead(arithmetic, build.head(index)) for index in range(len(float_net))
        )

    def head(self, index: int) -> IntegerHead:
        """The head of block ``index``."""
        head = self.heads[index]
        assert isinstance(head, IntegerHead)
        return head

    def body(self, index: int) -> Layers:
        """The layers of block ``index``."""
        body = self.bodies[index]
        assert isinstance(body, Layers)
        return body

    def each(self, images: Tensor) -> Tensor:
        """Class scores (B, K) of each image as a batch of one, as a board predicts."""
        return self.head(len(self) - 1).classify.each(self.run_each(images)).mantissa

    def run_each(self, images: Tensor) -> IntTensor:
        """What the last block gives for each image as a batch of one."""
        h: Any = images
        for index in range(len(self)):
            h = self.body(index).each(h)
        assert isinstance(h, IntTensor)
        return h

    @property
    def stored_bytes(self) -> int:
        """Bytes of all weights of the blocks as deployed; exponents follow from shapes."""
        bits = (x.weight.numel() * self.arithmetic.deployed_bits(x.place) for x in weighted(self.bodies))
        return sum(-(-count // 8) for count in bits)


class _Builder:
    """Turns the layers of a float network into integer ones, in order, as the plan has them."""

    def __init__(self, arithmetic: Arithmetic, net: BlockNet, seed: int) -> None:
        self.arithmetic, self.seed, self.count = arithmetic, seed, 0
        self.modules, self.planned = dict(net.named_modules()), integer_network(_described(net))
        self.last = [layer for layer in self.planned.layers if layer.weights][-1]
        self.relus = self._relus()

    def _relus(self) -> dict[str, Layer]:
        """Layer with weights -> the activation behind it, perhaps behind a norm that is none."""
        makers = {layer.name: layer for layer in self.planned.all_layers}
        found = {}
        for layer in makers.values():
            if isinstance(layer.op, ReLU):
                source = makers.get(layer.inputs[0])
                while source is not None and isinstance(source.op, ops.View):
                    source = makers.get(source.inputs[0])
                if source is not None:
                    found[source.name] = layer
        return found

    def body(self, index: int) -> list[IntegerLayer]:
        """The integer form of a block."""
        return list(self._convert(self.planned.blocks[index].layers, in_head=False))

    def head(self, index: int) -> list[IntegerLayer]:
        """The integer form of a block's head, without the loss."""
        return list(self._convert(self.planned.blocks[index].head, in_head=True))

    def _convert(self, layers: Sequence[Layer], *, in_head: bool) -> Iterator[IntegerLayer]:
        for layer in layers:
            op = layer.op
            if isinstance(op, Conv | Linear):
                yield self._weighted(layer, in_head)
            elif isinstance(op, ops.MaxPool):
                yield IntegerMaxPool(op.kernel)
            elif isinstance(op, ops.View):
                module = self.modules.get(layer.name)
                if not isinstance(module, nn.Identity | nn.ReLU):
                    yield Flatten(getattr(module, "shape", (-1,)))
            elif isinstance(op, ops.AdaptiveAvgPool):
                yield IntegerAvgPool(output=op.output, by_shifts=isinstance(self.arithmetic, Nitro))
            elif isinstance(op, ops.AvgPool):
                yield IntegerAvgPool(op.kernel, by_shifts=isinstance(self.arithmetic, Nitro))
            elif not (isinstance(op, ReLU | Quantize) or op.is_loss):
                module = self.modules.get(layer.name)
                raise InputError(
                    f"layer {layer.name}", got=op.words if module is None else type(module).__name__,
                    wanted="a layer with an integer form", do="use --norm none and a plain network",
                )  # fmt: skip

    def _weighted(self, layer: Layer, in_head: bool) -> Weighted:
        op, relu, last = layer.op, self.relus.get(layer.name), self.last
        assert isinstance(op, Conv | Linear)
        place = Place(
            shape=(layer.weights // layer.filter_size, *_filter(op)),
            steps=Steps(op.stride, op.padding, op.dilation, op.groups) if isinstance(op, Conv) else STEADY,
            relu=relu is not None,
            edge=layer.precision == "edge",
            wide=relu is not None and relu.precision == "edge",
            head=in_head or layer is last,
            classes=last.weights // last.filter_size,
        )
        self.count += 1
        return Weighted(self.arithmetic, place, Xorshift32(self.seed, FIRST_STREAM + self.count - 1))


def _filter(op: Conv | Linear) -> tuple[int, ...]:
    """The shape of the weights of one output."""
    return (op.in_channels // op.groups, *op.kernel) if isinstance(op, Conv) else (op.in_features,)


def _described(net: BlockNet) -> Network:
    """The network as the hardware side sees it, without shapes; layers have the names of their modules."""
    layers = with_precision(links(net, "the network"))
    blocks = []
    for index, head in enumerate(net.heads):
        body = tuple(layer for layer in layers if layer.name.startswith(f"bodies.{index}."))
        inside = links(head, f"the head of block {net.names[index]}")
        names = {layer.name: f"heads.{index}.{layer.name}" for layer in inside}
        renamed = tuple(
            replace(x, name=names[x.name], inputs=tuple(names.get(i, i) for i in x.inputs)) for x in inside
        )
        blocks.append(Block(net.names[index], body, renamed))
    return Network((), tuple(blocks))
