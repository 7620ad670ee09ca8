"""A model as an ordered list of units: the form in which a network can be cut into blocks."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn

from blockwise.heads.place import split
from blockwise.quant.quantizer import FLOAT_BITS, Quantizer
from devices.network import Network

if TYPE_CHECKING:
    from devices.program.regimes import Step


STOOD_AT = "_stood_at"
"""Attribute of a module that is made of something else: where its parameters stood, by their names in it."""


@dataclass(frozen=True)
class Unit:
    """The smallest part that a cut may separate, and where it stands in the network.

    A residual sum is never divided: one residual block is one unit.
    """

    name: str
    module: nn.Module
    stage: int  # which run of equal resolution it belongs to, from 0


@dataclass(frozen=True)
class ReplacedNorm:
    """A batch norm in whose place a network has a constant one, or none."""

    layer: str  # where there is none: that whose output it alone would read; empty if there is no such layer
    eps: float


class Chain(nn.Module):
    """Units applied one after the other; the last one ends in the classifier.

    Input (B, *in_shape), output logits (B, num_classes). ``paths`` says of layers of units, as
    "features_0.conv", and of parameters that stood in no such layer, where they stood in the module that the
    chain was made of, if it was made of one. ``replaced`` has the batch norms that it goes without, by where
    they would stand.
    """

    paths: Mapping[str, str] = MappingProxyType({})
    replaced: Mapping[str, ReplacedNorm] = MappingProxyType({})

    def __init__(
        self, name: str, units: Iterable[Unit], in_shape: tuple[int, ...], num_classes: int,
        width: float | None,
    ) -> None:  # fmt: skip
        """``width`` is None for a network that does not scale."""
        super().__init__()
        units = tuple(units)
        self.name, self.in_shape, self.num_classes, self.width = name, in_shape, num_classes, width
        self.norm = "batch"  # what stands in place of batch norms; local heads follow it
        self.units = nn.ModuleDict({unit.name: unit.module for unit in units})
        self.stages = tuple(unit.stage for unit in units)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of a batch (B, *in_shape)."""
        for unit in self.units.values():
            x = unit(x)
        return x

    @property
    def unit_names(self) -> tuple[str, ...]:
        """Names of the units, in order."""
        return tuple(self.units)

    def made_of(self, whole: nn.Module) -> Self:
        """The chain itself, which knows where its layers stand in ``whole``."""
        stood = {id(module): path for path, module in whole.named_modules()}
        found = {name: stood.get(id(module)) for name, module in self.units.named_modules()}
        elsewhere = {
            f"{name}.{part}": path
            for name, module in self.units.named_modules()
            for part, path in vars(module).get(STOOD_AT, {}).items()
        }
        self.paths = {name: path for name, path in found.items() if name and path} | elsewhere
        return self

    def describe(self, *, blocks: str, head: str, step: Step | None = None) -> Network:
        """The network for the hardware side, cut into ``blocks``, each with its local ``head``."""
        from blockwise.nets.anatomy import describe  # a network that is only trained needs no plans

        return describe(self, blocks, head, step)

    def unit_shapes(self, *, before_pool: bool = False) -> tuple[tuple[int, ...], ...]:
        """Output shape of each unit without the batch, of one black image.

        With ``before_pool`` that of its activation: see :mod:`blockwise.heads.place`. On meta tensors
        nothing would be computed, but PyTorch loads a compiler for them, which takes longer.
        """
        x = torch.zeros(1, *self.in_shape, device=next(self.parameters()).device)
        shapes = []
        with _passing_floats(self.units) as units, torch.no_grad():
            for unit in units.children():
                front, behind = split(unit)
                h = front(x)
                x = behind(h)
                shapes.append(tuple((h if before_pool else x).shape[1:]))
        return tuple(shapes)


@contextmanager
def _passing_floats(module: nn.Module) -> Iterator[nn.Module]:
    """``module`` at rest for as long, or a copy of it where its own code may change more.

    Its quantizers pass floats: none takes its levels from what it sees.
    """
    if any(map(_may_change, module.modules())):
        module = copy.deepcopy(module)
    trained = [part for part in module.modules() if part.training]
    widths = {part: part.bits for part in module.modules() if isinstance(part, Quantizer)}
    try:
        module.eval()
        for quantizer in widths:
            quantizer.bits = FLOAT_BITS
        yield module
    finally:
        for part in trained:
            part.training = True
        for quantizer, bits in widths.items():
            quantizer.bits = bits


def _may_change(part: nn.Module) -> bool:
    """Whether it may write into tensors of its own though it is at rest and passes floats."""
    own = (*part.parameters(recurse=False), *part.buffers(recurse=False))
    return bool(own) and not type(part).__module__.startswith(("torch.nn.", "blockwise.quant."))


def count_parameters(module: nn.Module) -> int:
    """Number of trainable elements."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
