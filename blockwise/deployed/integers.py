"""A network trained on integers as steps and tensors: each image for itself, as a board predicts.

The arithmetic is that of docs/integer-arithmetic.md. Exponents of activations are left out: no class score
depends on them.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from blockwise.deployed.steps import Call, Step
from blockwise.deployed.weights import Coded, integers
from blockwise.integer.arithmetic import Place
from blockwise.integer.images import MIDDLE
from blockwise.integer.layers import (
    Flatten,
    IntegerAvgPool,
    IntegerLayer,
    IntegerMaxPool,
    Layers,
    Pixels,
    Weighted,
)
from blockwise.integer.net import IntegerNet
from blockwise.integer.niti import Niti
from blockwise.integer.nitro import CENTRE, LIMIT, RANGE, scale_factor
from blockwise.integer.tensor import INT8, IntTensor, shared
from blockwise.layers.weighted import Weighted as FloatWeighted
from blockwise.nets.blocks import BlockNet
from blockwise.nets.chain import Chain
from devices.network import IMAGES

SLOPE = 4
"""What NITRO-D's activation divides by below zero."""


class IntegerSteps:
    """The steps of ``net``; weights have the names of the layers of ``chain`` that ``blocks`` is made of."""

    def __init__(self, net: IntegerNet, chain: Chain, blocks: BlockNet) -> None:
        self.arithmetic = net.arithmetic
        self.steps: list[Step] = []
        self.tensors: dict[str, Tensor] = {}
        self.coded: list[Coded] = []
        self.foreign: tuple[str, ...] = ()
        paths = {module: path for path, module in chain.units.named_modules()}
        floats = (module for module in blocks.bodies.modules() if isinstance(module, FloatWeighted))
        self.names = iter([paths[module] for module in floats])
        x: Tensor | IntTensor = torch.zeros(1, *chain.in_shape, dtype=torch.uint8)
        for body in net.bodies:
            assert isinstance(body, Layers)
            for layer in body.layers:
                x = self._layer(layer, x)

    def _layer(self, layer: nn.Module, x: Tensor | IntTensor) -> IntTensor:
        """Takes the layer up; returns what it makes of ``x``."""
        assert isinstance(layer, IntegerLayer)
        made: IntTensor = layer.each(x)  # type: ignore[arg-type]  # the first one takes images
        shape = tuple(made.shape[1:])
        if isinstance(layer, Weighted):
            self._weighted(layer, shape)
        elif isinstance(layer, Pixels):
            self._step("input", ("sub", {"other": MIDDLE}), shape)
            self._step("input.codes", _clip(INT8.high), shape)
        else:
            assert isinstance(x, IntTensor)
            before = self.steps[-1].name
            for call in _calls(layer, x, shape):
                self._step(f"{before}.{call[0]}", call, shape)
        return made

    def _weighted(self, layer: Weighted, shape: tuple[int, ...]) -> None:
        name, place, steps = next(self.names), layer.place, layer.place.steps
        rank = len(place.shape) - 2
        options = {"stride": steps.stride, "padding": steps.padding, "dilation": steps.dilation}
        call: Call = ("linear", {})
        if rank:
            sides = {key: _sides(value, rank) for key, value in options.items()}
            call = (f"conv{rank}d", {**sides, "groups": steps.groups})
        found, exponent = self._coded(layer)
        self.coded.append(found)
        self.tensors |= {f"{name}.{part}": tensor for part, tensor in found.tensors.items()}
        source, weight = self.steps[-1].name, {"weight": f"{name}.weight"}
        self.steps.append(Step(name, call[0], (source,), shape, call[1], weight, found.told, exponent))
        for part, after in self._behind(place):
            self._step(f"{name}.{part}", after, shape)

    def _coded(self, layer: Weighted) -> tuple[Coded, int]:
        """Weights as they are deployed, states without what trained them, and their exponent."""
        if isinstance(self.arithmetic, Niti):
            form = self.arithmetic.form(layer.place)
            operand = form.operand(layer.weight, layer.place.steps.groups)
            return integers(operand.mantissa, operand.bits, operand.format.low), shared(operand.exponent)
        return integers(layer.weight, 32, -(1 << 31)), 1 - RANGE.bit_length()

    def _behind(self, place: Place) -> Iterator[tuple[str, Call]]:
        """What makes few bits of sums, with the activation: before it, or in NITRO-D's case behind."""
        if isinstance(self.arithmetic, Niti):
            to = self.arithmetic.behind_relu(place) if place.relu else INT8
            if place.relu:
                yield "relu", ("relu", {})
            yield "shift", ("shift", {"bits": to.magnitude_bits})
            yield "round", ("nearest", {})
            yield "codes", _clip(to.high)
            return
        yield "scaled", ("div", {"other": scale_factor(place.shape), "rounding_mode": "trunc"})
        yield "codes", _clip(LIMIT)
        if place.relu:
            yield "slope", ("leaky_relu", {"negative_slope": 1 / SLOPE})
            yield "whole", ("trunc", {})
            yield "activation", ("sub", {"other": CENTRE})

    def _step(self, name: str, call: Call, shape: tuple[int, ...]) -> None:
        source = self.steps[-1].name if self.steps else IMAGES
        self.steps.append(Step(name, call[0], (source,), shape, call[1]))


def _clip(high: int) -> Call:
    return "hardtanh", {"min_val": -high, "max_val": high}


def _calls(layer: IntegerLayer, x: IntTensor, shape: tuple[int, ...]) -> Iterator[Call]:
    """A layer without weights that reads ``x``; means of narrow numbers gain fractional bits."""
    rank = len(shape) - 1
    if isinstance(layer, Flatten):
        yield "reshape", {"shape": [-1, *shape]}
    elif isinstance(layer, IntegerMaxPool):
        yield f"max_pool{rank}d", {"kernel_size": _sides(layer.window, rank)}
    else:
        assert isinstance(layer, IntegerAvgPool)
        sides = zip(x.shape[2:], shape[1:], strict=True)
        window = [n // m for n, m in sides] if layer.output else _sides(layer.window, rank)
        yield f"avg_pool{rank}d", {"kernel_size": window}
        if spare := INT8.magnitude_bits - x.format.magnitude_bits:
            yield "mul", {"other": 1 << spare}
        yield "nearest", {}


def _sides(value: int | tuple[int, ...], rank: int) -> list[int]:
    """A number for every dimension of space."""
    sides = (value,) if isinstance(value, int) else value
    return list(sides if len(sides) == rank else sides[:1] * rank)
