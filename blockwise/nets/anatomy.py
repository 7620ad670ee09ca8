"""A chain of units as the network that the hardware side accounts for."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache, lru_cache
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import nn

from blockwise import heads
from blockwise.heads.place import read_layer
from blockwise.heads.shared import ReadConv
from blockwise.nets.blocks import first_conv
from blockwise.nets.cuts import Cut, block_name, cut
from devices.network import IMAGES, LABELS, Block, Layer, Network
from devices.network.precision import with_precision
from devices.network.trace import trace
from devices.network.trained import FROZEN
from devices.program.ledger import Ledger
from devices.program.regimes import Step, schedule

if TYPE_CHECKING:
    from blockwise.nets.chain import Chain

LARGE = 512
"""Width, side or number of classes: ResNet-20 of so many channels takes 1 GiB."""
KNOWN = 2048
"""Blocks whose peak is remembered."""


def shapes_alone(*sizes: int) -> AbstractContextManager[object]:
    """Where a network of such sizes is made to be traced: in no memory, if it would take much.

    Small ones are made as they are: PyTorch's meta device loads a compiler, which takes a second.
    """
    return torch.device("meta") if max(sizes) > LARGE else nullcontext()


def describe(chain: Chain, blocks: str, head: str, step: Step | None = None) -> Network:
    """Trace ``chain`` and cut it; ``step`` is what N blocks are balanced for."""
    anatomy = Anatomy(chain, head)
    return anatomy.network(anatomy.cut(blocks, step or Step()))


class Anatomy:
    """The traced units of a chain, and the head that each unit would have as the end of a block."""

    def __init__(self, chain: Chain, head: str) -> None:
        self.chain, self.head = chain, head
        self.units = self._trace_units()
        self.shapes = tuple(layers[-1].shape for layers in self.units)
        self._traced_head, self.head_after = cache(self._trace_head), cache(self._head_after)

    def with_head(self, head: str) -> Anatomy:
        """The same units, traced once, under another head."""
        twin = copy.copy(self)
        twin.head = head
        twin._traced_head, twin.head_after = cache(twin._trace_head), cache(twin._head_after)
        return twin

    def cut(self, blocks: str, step: Step) -> Cut:
        """Groups of unit numbers; see :func:`blockwise.nets.cuts.cut`."""
        return self.cuts((blocks,), step)[0]

    def cuts(self, names: Iterable[str], step: Step) -> tuple[Cut, ...]:
        """Several cuts; what a block costs is computed once for all of them, and for all that are alike."""

        @cache
        def cost(start: int, end: int) -> int:
            return _peak_bytes(unnamed(self._alone(start, end)), step)

        return tuple(cut(self.chain.stages, blocks, cost, self.chain.unit_names) for blocks in names)

    def network(self, groups: Cut) -> Network:
        """The network with these groups of units as blocks."""
        return Network(self.chain.in_shape, tuple(self._block(g[0], g[-1] + 1) for g in groups))

    def _trace_units(self) -> tuple[tuple[Layer, ...], ...]:
        source, shape, units = IMAGES, self.chain.in_shape, []
        for name, module in self.chain.units.items():
            units.append(trace(module, {source: shape}, name))
            source, shape = units[-1][-1].name, units[-1][-1].shape
        layers = iter(with_precision([layer for unit in units for layer in unit]))
        return tuple(tuple(islice(layers, len(unit))) for unit in units)

    def _block(self, start: int, end: int) -> Block:
        layers = tuple(layer for unit in self.units[start:end] for layer in unit)
        return Block(block_name(self.chain.unit_names[start:end]), layers, self.head_after(end))

    def _head_after(self, end: int) -> tuple[Layer, ...]:
        unit, last = self.chain.unit_names[end - 1], end == len(self.units)
        layers = self.units[end - 1]
        source = read_layer(layers) if heads.kind(self.head).published and not last else layers[-1]
        given = {IMAGES: source.name, LABELS: LABELS}

        def named(layer: str) -> str:
            return given.get(layer) or f"{unit}.{layer}"

        ahead = self._ahead(end) if heads.kind(self.head).reads_next and not last else None
        head = self._traced_head(source.shape, last, ahead)
        return tuple(replace(x, name=named(x.name), inputs=tuple(map(named, x.inputs))) for x in head)

    def _ahead(self, unit: int) -> tuple[nn.Module, Layer] | None:
        """The first convolution of a unit, and its layer; None where it has none."""
        name = self.chain.unit_names[unit]
        module = first_conv(self.chain.units[name])
        paths = {id(found): f"{name}.{path}" for path, found in self.chain.units[name].named_modules()}
        layers = {layer.name: layer for layer in self.units[unit]}
        return None if module is None else (module, layers[paths[id(module)]])

    def _trace_head(
        self, shape: tuple[int, ...], last: bool, ahead: tuple[nn.Module, Layer] | None
    ) -> tuple[Layer, ...]:
        """The head of any map of this shape, reading IMAGES in place of it."""
        chain = self.chain
        if last:
            return _traced(heads.OutputHead(), shape, "output")
        with shapes_alone(heads.width_of(self.head), *shape):
            module, layer = ahead or (None, None)
            made = heads.make(self.head, shape, chain.num_classes, norm=chain.norm, ahead=module)
        kind, op = heads.kind(self.head), layer.op if layer else None
        layers = _traced(made, shape, self.head, kind, chain.num_classes, chain.norm, op)
        read = {f"head.{path}" for path, found in made.named_modules() if isinstance(found, ReadConv)}
        return tuple(_reading(x, layer) if layer and x.name in read else x for x in layers)

    def _alone(self, start: int, end: int) -> Network:
        """Units start .. end-1 as a network of one block."""
        shape = self.shapes[start - 1] if start else self.chain.in_shape
        source = self.units[start - 1][-1].name if start else IMAGES
        return Network(shape, (self._block(start, end),), source)


@lru_cache(KNOWN)
def _peak_bytes(block: Network, step: Step) -> int:
    """Of training a block alone; the same blocks are asked for by every cut of every network like it."""
    return Ledger(schedule("local", block, step)).peak_bytes


def unnamed(network: Network) -> Network:
    """The same with numbers for names: equal for networks that differ in names alone."""
    numbers = {network.source: "input", IMAGES: IMAGES, LABELS: LABELS}
    for layer in network.all_layers:
        numbers[layer.name] = str(len(numbers))
    blocks: list[Block] = []
    for block in network.blocks:
        layers, head = (tuple(_unnamed(layer, numbers) for layer in x) for x in (block.layers, block.head))
        blocks.append(Block(str(len(blocks)), layers, head))
    return Network(network.in_shape, tuple(blocks), numbers[network.source])


def _unnamed(layer: Layer, numbers: Mapping[str, str]) -> Layer:
    of = numbers.get(layer.weights_of, "another block's") if layer.weights_of else ""
    inputs = tuple(numbers[name] for name in layer.inputs)
    return replace(layer, name=numbers[layer.name], inputs=inputs, weights_of=of)


def _reading(reader: Layer, source: Layer) -> Layer:
    """A layer of a head that multiplies by the weights of ``source``, and does not train them."""
    return replace(reader, weights_of=source.name, precision=source.precision, trained=FROZEN)


TRACED: dict[tuple[Hashable, ...], tuple[Layer, ...]] = {}
"""The layers of the heads that were traced so far, by the shape of their input and what else they are of."""


def _traced(head: heads.Head, shape: tuple[int, ...], *made_of: Hashable) -> tuple[Layer, ...]:
    """The layers of a head, traced once: every network with such maps has the same."""
    if (shape, *made_of) not in TRACED:
        layers = trace(head, {IMAGES: shape, LABELS: ()}, "head")
        TRACED[shape, *made_of] = tuple(replace(layer, precision="float") for layer in layers)
    return TRACED[shape, *made_of]
