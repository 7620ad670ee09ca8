"""What integer regimes cannot train: layers without an integer form, and numbers that leave 32 bits.

The bounds are those that the arithmetic itself checks, from shapes alone (docs/integer-arithmetic.md).
"""

import math
from collections.abc import Iterator, Sequence

from devices.network import Layer, Network
from devices.network.ops import (
    BatchNorm,
    ChannelDropout,
    Conv,
    Dropout,
    GroupNorm,
    LeakyReLU,
    Op,
    ReLU,
    SimilarityLoss,
)
from devices.program.accountings import INTEGER
from devices.program.integer import IntegerForm
from devices.program.integer_network import integer_network, sums_behind
from devices.program.regimes import Regime
from devices.trainability.integer_pools import pool_obstacles
from devices.trainability.outcome import Obstacle

INT32_MAX = (1 << 31) - 1
BYTE, NIBBLE, STATE = 127, 15, 7
"""The largest magnitudes: of 8 bits, of a 4-bit activation, and of a 4-bit weight."""
MOST_LOSSES = 6_700
"""So many losses of up to 78 x 2^12 add up within 31 bits."""
FLAGS: dict[type[Op], str] = {
    **dict.fromkeys((BatchNorm, GroupNorm), "--norm none"),
    **dict.fromkeys((Dropout, ChannelDropout), "--dropout 0"),
    LeakyReLU: "--activation relu",
}
"""Which flag builds a network without the operation, where one does."""


def integer_obstacle(
    network: Network,
    layers: Sequence[Layer],
    regime: Regime,
    form: IntegerForm,
    batch: int,
    backprop_blocks: int = 1,
    jump_every: int = 1,
) -> Obstacle | None:
    """The first reason why the integer ``regime`` cannot train ``network``; None if it can.

    ``layers`` are those that its step passes.
    """
    front = regime.front(len(network.blocks), backprop_blocks)
    found = next(_obstacles(network, layers, regime, form, batch, front), None)
    if found is None and regime.jumps and jump_every > 1:
        return next(_waiting(network, regime.name, form, batch, jump_every), None)
    return found


def _obstacles(
    network: Network, layers: Sequence[Layer], found: Regime, form: IntegerForm, batch: int, front: int
) -> Iterator[Obstacle]:
    """``front`` are the first blocks, through which nothing goes back."""
    regime = found.name
    yield from _kinds(network, regime)
    yield from _activations(network, regime)
    if not any(layer.weights and layer.trained.weights for layer in network.layers):
        yield Obstacle(
            "biases alone on integers", f"regime {regime}", "--train bias",
            "weights to train, for integer layers have no biases", "train layers or blocks",
        )  # fmt: skip
    if found.heads:
        yield from _heads(network)
    yield from pool_obstacles(network, layers, form)
    if form.one_layer:
        yield from _blocks(network, regime)
    if network.classes > form.most_classes:
        yield Obstacle(
            f"more than {form.most_classes:,} classes", f"regime {regime}", f"{network.classes:,} classes",
            f"at most {form.most_classes:,}, whose sums and divisors fit 32 bits", "use fewer classes",
        )  # fmt: skip
    only_forward = {layer.name for block in network.blocks[:front] for layer in block.layers}
    yield from _batch([layer for layer in layers if layer.name not in only_forward], regime, batch)
    if found.perturbs:
        yield from _losses(regime, batch)
    if not form.scaled:  # unclipped weights: no shape can promise that its sums fit
        yield from _sums(network, found, form, front)


def _kinds(network: Network, regime: str) -> Iterator[Obstacle]:
    """What has no integer form, first what no flag takes out of the network."""
    spelt = {layer: words for layer in network.layers if (words := _without_form(layer, network))}
    flags = list(dict.fromkeys(FLAGS[type(layer.op)] for layer in spelt if type(layer.op) in FLAGS))
    for layer in sorted(spelt, key=lambda layer: type(layer.op) in FLAGS):
        words = spelt[layer]
        others = f", or {', '.join(flags)}" if type(layer.op) in FLAGS else ""
        yield Obstacle(
            f"{words} on integers", f"regime {regime}", f"a network with {words} ({layer.name})",
            "layers in a row without norms, dropout and slopes below zero",
            f"use a network of such, as --model plain6{others}",
        )  # fmt: skip


def _without_form(layer: Layer, network: Network) -> str:
    """What an operation of a block is called if it has no integer form; empty if it has one."""
    op = layer.op
    if op.row(INTEGER.name) is None:
        return op.words
    if isinstance(op, Conv) and not _within_zeros(op, layer, network):
        return "a border that is wider on one side, or of other than zeros"
    return "an activation with limits" if isinstance(op, ReLU) and op != ReLU() else ""


def _within_zeros(op: Conv, layer: Layer, network: Network) -> bool:
    """Whether the convolution has as many zeros before each side as behind it."""
    sides = zip(
        network.shapes[layer.inputs[0]][1:], op.kernel, op.stride, op.padding, op.dilation, strict=True
    )
    even = (
        (size + 2 * pad - apart * (kernel - 1) - 1) // step + 1 for size, kernel, step, pad, apart in sides
    )
    return op.padding_mode == "zeros" and layer.shape[1:] == tuple(even)


def _activations(network: Network, regime: str) -> Iterator[Obstacle]:
    """They are where sums become codes."""
    layers = integer_network(network).layers
    makers = {layer.name: layer for layer in layers}
    for layer in layers:
        if isinstance(layer.op, ReLU) and sums_behind(layer, makers) is None:
            before = makers.get(layer.inputs[0])
            source = "the input" if before is None else before.op.words
            yield Obstacle(
                f"an activation behind {source} on integers", f"regime {regime}",
                f"an activation behind {source} ({layer.name})",
                "activations behind convolutions and linear layers, or behind their max pools",
                "put it there",
            )  # fmt: skip


def _heads(network: Network) -> Iterator[Obstacle]:
    for block in (b for b in network.blocks[:-1] if b.head):  # one that does not learn has none
        if not all(layer.op.integer_head for layer in block.head):
            similar = any(isinstance(layer.op, SimilarityLoss) for layer in block.head)
            what = "a similarity loss" if similar else "convolutions, norms or activations"
            yield Obstacle(
                f"{what} in a head on integers", "--head", f"{what} in the head of {block.name}",
                "a pooled linear layer in integer regimes", "use --head gap or --head pred-pooled",
            )  # fmt: skip
        if not any(block.output in layer.inputs for layer in block.head):
            yield Obstacle(
                "a head before a block's max pool on integers", "--head",
                f"one that stands before the max pool of {block.name}",
                "one that reads what a block gives, on integers", "use --head gap or --head pred-pooled",
            )  # fmt: skip


def _blocks(network: Network, regime: str) -> Iterator[Obstacle]:
    for block in network.blocks:
        layers = [layer.name for layer in (*block.layers, *block.head) if layer.weights]
        if len(layers) > 2:
            yield Obstacle(
                "blocks of more than a layer", f"regime {regime}",
                f"block {block.name} with the layers {', '.join(layers)}",
                "one layer and a classifier in each, for errors pass one layer within 32 bits",
                "use --blocks layers",
            )  # fmt: skip


def _batch(layers: Sequence[Layer], regime: str, batch: int) -> Iterator[Obstacle]:
    """A weight gradient adds a product for every image and position of the error.

    It is the first of ``layers`` that decides: its map is the largest, and it reads 8 bits in every form.
    """
    trained = (layer for layer in layers if layer.weights and layer.trained.weights)
    positions = max((math.prod(layer.shape[1:]) for layer in trained), default=1)
    most = INT32_MAX // (BYTE * BYTE) // positions
    if batch > most:
        yield Obstacle(
            f"more than {most} images, whose weight gradients leave 32 bits",
            "--batch-size", f"{batch} with regime {regime}",
            f"at most {most}, for weight gradients are sums of 32 bits", "use a smaller batch",
        )  # fmt: skip


def _waiting(
    network: Network, regime: str, form: IntegerForm, batch: int, jump_every: int
) -> Iterator[Obstacle]:
    """Gradients of states wait as sums over all images of the batches: each has to fit by what it reads."""
    layers = integer_network(network).all_layers
    makers = {layer.name: layer for layer in layers}
    inner = [layer for layer in layers if layer.trained_weights and layer.precision == "inner"]
    products = [math.prod(x.shape[1:]) * batch * BYTE * _largest_input(x, makers, form) for x in inner]
    most = INT32_MAX // max(products, default=1)
    if inner and jump_every > most:
        layer = inner[products.index(max(products))]
        yield Obstacle(
            f"more than {most} batches a jump, whose gradients leave 32 bits", "--jump-every",
            f"{jump_every} batches of {batch} with regime {regime}",
            f"at most {most}, for sums of gradients have 32 bits ({layer.name})",
            "let weights jump more often, or use a smaller --batch-size",
        )  # fmt: skip


def _losses(regime: str, batch: int) -> Iterator[Obstacle]:
    """The losses of all images are added up."""
    if batch > MOST_LOSSES:
        yield Obstacle(
            f"more than {MOST_LOSSES:,} images, whose losses leave 32 bits", "--batch-size",
            f"{batch} with regime {regime}", f"at most {MOST_LOSSES:,}, for losses are added up in 32 bits",
            "use a smaller batch",
        )  # fmt: skip


def _sums(network: Network, regime: Regime, form: IntegerForm, front: int) -> Iterator[Obstacle]:
    """Sums over a layer's inputs going forward, and over its outputs where an error goes back to them."""
    blocks = integer_network(network).blocks
    makers = {layer.name: layer for block in blocks for layer in (*block.layers, *block.head)}
    for index, block in enumerate(blocks):
        inner = [layer for layer in block.layers if layer.weights]
        ends = inner if index < front else inner[:1] if regime.heads or index == front else []
        for layer in (*inner, *(layer for layer in block.head if layer.weights)):
            weight = STATE if form.narrow and layer.precision == "inner" else BYTE
            forward = layer.filter_size, weight * _largest_input(layer, makers, form)
            groups = layer.op.groups if isinstance(layer.op, Conv) else 1
            outputs = layer.weights // layer.filter_size // groups * layer.kernel
            yield from _too_long(layer, regime.name, *forward)
            if layer not in ends:
                yield from _too_long(layer, regime.name, outputs, weight * BYTE)


def _largest_input(layer: Layer, makers: dict[str, Layer], form: IntegerForm) -> int:
    """The largest magnitude of what the layer reads, which pools of maxima and views hand on."""
    maker = makers.get(layer.inputs[0])
    while maker is not None and maker.op.passes_codes:
        maker = makers.get(maker.inputs[0])
    narrow = form.narrow and maker is not None and isinstance(maker.op, ReLU) and maker.precision == "inner"
    return NIBBLE if narrow else BYTE


def _too_long(layer: Layer, regime: str, terms: int, product: int) -> Iterator[Obstacle]:
    if terms > INT32_MAX // product:
        yield Obstacle(
            f"a sum of more than 32 bits in {layer.name}", f"layer {layer.name}",
            f"sums of {terms:,} products with regime {regime}",
            f"at most {INT32_MAX // product:,}, so that every sum fits 32 bits",
            "use fewer channels or smaller images",
        )  # fmt: skip
