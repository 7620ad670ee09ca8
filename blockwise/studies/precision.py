"""Precision against width: at which bit width is a network best that must fit a fixed memory?

JRAF 2023, "Quantized Neural Networks for edge implementation": the memory of a network of width k
at b bits is f(k) b + g(k) max(b, 4), with f its parameters and g its largest activation; under a
budget M = M0 / C, where M0 is the memory of the float32 network at its own width, the widest network
that fits is trained at every b.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import torch

from blockwise import models, quant
from blockwise.nets.anatomy import Anatomy
from devices.errors import InputError
from devices.memory.paper import paper_figures
from devices.program.accountings import FLOAT_BITS

BITS = (*quant.BITS, FLOAT_BITS)
"""Bit widths that can be trained."""

LEAST_ACTIVATION_BITS = 4
"""The study keeps activations at 4 bits where weights have fewer."""

WIDEST = 1 << 14
"""No width beyond this is looked for."""


@dataclass(frozen=True)
class PrecisionProtocol:
    """How each point is trained; ``base_width`` is the width at which M0 is counted."""

    name: str
    description: str
    epochs: int
    batch_size: int
    image_size: int | None  # None: as the images are
    base_width: int | None  # None: the published width
    seeds: tuple[int, ...]
    lr: float = 0.1  # peak of the one-cycle schedule


PROTOCOLS: dict[str, PrecisionProtocol] = {
    "short": PrecisionProtocol(
        "short", "2 epochs at 16x16, budgets of the default width 8: a few hours on two cores",
        epochs=2, batch_size=64, image_size=16, base_width=8, seeds=(0,),
    ),
    "reference": PrecisionProtocol(
        "reference", "200 epochs at full size, budgets of the published width, 3 seeds",
        epochs=200, batch_size=128, image_size=None, base_width=None, seeds=(0, 1, 2),
    ),
}  # fmt: skip


def activation_bits(bits: int) -> int:
    """Bits of activations beside weights of ``bits``."""
    return max(bits, LEAST_ACTIVATION_BITS)


@dataclass(frozen=True)
class Sizes:
    """f and g: elements of a network of one width."""

    parameters: int
    largest_activation: int

    def bits(self, bits: int) -> int:
        """Memory in bits with weights of ``bits``."""
        return self.parameters * bits + self.largest_activation * activation_bits(bits)


@dataclass(frozen=True)
class Point:
    """One network of the study: the widest that fits the budget at this precision."""

    compression: int
    bits: int
    width: int
    memory_bits: int
    budget_bits: int


class ScalableModel:
    """A model whose width scales, for images (C, H, W) and a number of classes."""

    def __init__(self, model: str, in_shape: tuple[int, ...], num_classes: int) -> None:
        self.model, self.in_shape, self.num_classes = model, in_shape, num_classes
        self.sizes = cache(self._sizes)

    def _sizes(self, width: int) -> Sizes:
        with torch.device("meta"):  # only counted: no weight is ever made
            chain = models.build(self.model, self.in_shape, self.num_classes, width)
        anatomy = Anatomy(chain, "gap")
        whole = anatomy.network((tuple(range(len(chain.stages))),))
        figures = paper_figures(whole, bits=8)  # a byte each: its figures count elements
        return Sizes(figures.inference_parameters, figures.inference_activations)

    def widest(self, bits: int, budget_bits: int) -> int | None:
        """k(b, M): the largest width within the budget, None if even width 1 is too large."""

        def fits(width: int) -> bool:
            return self.sizes(width).bits(bits) <= budget_bits

        if not fits(1):
            return None
        low, high = 1, 2
        while high < WIDEST and fits(high):
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low


def points(
    family: ScalableModel, base_width: int, compressions: tuple[int, ...], bits: tuple[int, ...]
) -> tuple[Point, ...]:
    """The networks to train, tightest budget first. Raises InputError where no width fits."""
    return tuple(_points(family, base_width, compressions, bits))


def _points(
    family: ScalableModel, base_width: int, compressions: tuple[int, ...], bits: tuple[int, ...]
) -> Iterator[Point]:
    full = family.sizes(base_width).bits(FLOAT_BITS)
    for compression in sorted(compressions, reverse=True):
        budget = full // compression
        for b in sorted(bits):
            width = family.widest(b, budget)
            if width is None:
                raise InputError(
                    f"{family.model} at {b} bits and compression {compression}",
                    got=f"a budget of {budget // 8:,} bytes",
                    wanted=f"{-(-family.sizes(1).bits(b) // 8):,} bytes, the need of width 1",
                    do="leave out this compression or these bits",
                )
            yield Point(compression, b, width, family.sizes(width).bits(b), budget)
