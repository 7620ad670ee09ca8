"""A network as the hardware side sees it: layers with shapes, grouped into blocks with local heads.

Nothing here knows PyTorch modules; :mod:`devices.network.trace` makes these from a module, and a test may
write them by hand.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from devices.network.ops import Add, CrossEntropy, Op
from devices.network.trained import WHOLE, Trained

IMAGES = "images"
"""The network's input: one batch of images, one byte per channel and pixel."""
LABELS = "labels"
"""The targets of the batch: one class number per image, counted from 0."""
ANSWER = "answer"
"""What the network says of the batch before any block's step: logits, which teach local heads."""

Precision = Literal["inner", "skip", "edge", "float"]
"""Which bit widths a layer uses: the chosen ones, in skip paths those or 32 as the run says
(:attr:`devices.network.bits.Bits.residual`), those of first and last layers, or 32."""

Residual = Literal["codes", "float"]
"""What the skip path of a residual sum holds: the codes that the next layer reads, or floats."""


Reads = Literal["codes", "skip", "floats", "signed"]
"""What a layer's input is where activations are quantized: codes; what a skip path holds, codes or floats;
floats that are not below zero, but for what an activation leaves there; or floats of both signs."""


@dataclass(frozen=True)
class Layer:
    """One layer: what it computes, what it reads and what shape it writes."""

    name: str
    op: Op
    inputs: tuple[str, ...]  # names of layers, IMAGES, LABELS or ANSWER
    shape: tuple[int, ...]  # of the output, without the batch
    precision: Precision = "inner"
    reads: Reads = "codes"  # its first input
    trained: Trained = WHOLE
    weights_of: str = ""  # the layer of another block whose weights it reads, where it has none of its own

    @property
    def learns(self) -> bool:
        """Whether it has weights or biases that are trained."""
        return bool(self.trained_weights + self.biases * self.trained.biases)

    @property
    def trained_outputs(self) -> int:
        """Output channels of the weights that are trained."""
        outputs = self.weights // self.filter_size if self.filter_size else 0
        return outputs if self.trained.outputs is None else self.trained.outputs

    @property
    def trained_inputs(self) -> int:
        """Input channels of one output that are trained."""
        inputs = self.filter_size // self.kernel
        return inputs if self.trained.inputs is None else min(inputs, self.trained.inputs)

    @property
    def trained_filter(self) -> int:
        """Weights of one output channel that are trained."""
        return self.trained_inputs * self.kernel

    @property
    def trained_weights(self) -> int:
        """Weights that are trained."""
        return self.trained_outputs * self.trained_filter if self.trained.weights else 0

    @property
    def weight_macs(self) -> int:
        """Multiply-accumulates of the gradient of what is trained of the weights, per sample."""
        return self.macs * self.trained_weights // self.weights if self.weights else 0

    @property
    def is_shared(self) -> bool:
        """Whether only some channels of its weights are trained."""
        return 0 < self.trained_weights < self.weights

    @property
    def kind(self) -> str:
        """The name of its operation."""
        return self.op.kind

    @property
    def elements(self) -> int:
        """Output elements per sample."""
        return math.prod(self.shape)

    @property
    def weights(self) -> int:
        """Elements of the weight tensor; quantized in training."""
        return self.op.weights

    @property
    def biases(self) -> int:
        """Bias elements, and scale and shift of a norm; never quantized."""
        return self.op.biases

    @property
    def buffers(self) -> int:
        """Running statistics or constants of a norm, in elements."""
        return self.op.buffers

    @property
    def filter_size(self) -> int:
        """Weight elements of one output channel."""
        return self.op.filter_size

    @property
    def kernel(self) -> int:
        """Positions of a convolution's kernel."""
        return self.op.kernel_positions

    @property
    def window(self) -> int:
        """Elements of a pooling window; 0 where it follows from the output."""
        return self.op.window

    @property
    def groups(self) -> int:
        """Of a group norm."""
        return self.op.norm_groups

    @property
    def code_block(self) -> int:
        """Weights to a code where one code stands for several."""
        return self.op.code_block

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the forward pass per sample (convolution and linear layers)."""
        return self.op.macs(self.shape)


@dataclass(frozen=True)
class Block:
    """Consecutive layers trained as a unit. The head holds what only gives the block its loss."""

    name: str
    layers: tuple[Layer, ...]
    head: tuple[Layer, ...]  # ends in a loss; empty if the block is not trained locally

    @property
    def output(self) -> str:
        """Name of the layer whose output the next block reads."""
        return self.layers[-1].name

    @property
    def learns(self) -> bool:
        """Whether any of its layers does; a block that does not has no head that would give it a loss."""
        return any(layer.learns for layer in self.layers)


@dataclass(frozen=True)
class Network:
    """Blocks in order. The last block's head is the loss itself, so that bp ends there as well."""

    in_shape: tuple[int, ...]
    blocks: tuple[Block, ...]
    source: str = IMAGES  # the name by which layers read the input

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """All layers of the blocks' bodies, in order."""
        return tuple(layer for block in self.blocks for layer in block.layers)

    @cached_property
    def all_layers(self) -> tuple[Layer, ...]:
        """The layers of bodies and heads, in order."""
        return tuple(layer for block in self.blocks for layer in (*block.layers, *block.head))

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Layer of a body, or the input -> the shape of its output, without the batch."""
        return {self.source: self.in_shape} | {layer.name: layer.shape for layer in self.layers}

    @cached_property
    def owners(self) -> dict[str, str]:
        """Layer name -> the block it belongs to, or that block's head ("block.head")."""
        bodies = {layer.name: b.name for b in self.blocks for layer in b.layers}
        heads = {layer.name: f"{b.name}.head" for b in self.blocks for layer in b.head}
        return bodies | heads

    @cached_property
    def classes(self) -> int:
        """How many classes its losses tell apart: as many as there are logits. 0 without such a loss."""
        elements = {layer.name: layer.elements for layer in self.all_layers}
        losses = (layer for layer in self.all_layers if isinstance(layer.op, CrossEntropy))
        return max((elements[layer.inputs[0]] for layer in losses), default=0)

    @cached_property
    def quantized(self) -> "dict[Hashable, Network]":
        """The same with quantizers, by bits and teaching: many steps of it are planned."""
        return {}

    @property
    def parameters(self) -> int:
        """Trainable elements without the local heads."""
        return sum(layer.weights + layer.biases for layer in self.layers)

    @cached_property
    def is_partial(self) -> bool:
        """Whether only a part of it is trained."""
        return any(layer.trained != WHOLE for layer in self.layers)


def skipping(layers: Sequence[Layer]) -> frozenset[str]:
    """Names of what a residual sum reads, and of the passing layers on the way to it.

    A name that is none of the ``layers`` is their input.
    """
    makers = {layer.name: layer for layer in layers}
    found = set()
    for name in (source for layer in layers if isinstance(layer.op, Add) for source in layer.inputs):
        while name in makers and makers[name].op.skips:
            found.add(name)
            name = makers[name].inputs[0]
        found.add(name)
    return frozenset(found)


def leading_to(end: Layer, layers: Sequence[Layer]) -> frozenset[str]:
    """Those of ``layers`` whose outputs ``end`` depends on, itself among them."""
    found = {end.name}
    for layer in reversed(layers):
        if layer.name in found:
            found.update(layer.inputs)
    return frozenset(found)
