"""Decisions that rounding may take either way: PyTorch takes the board's, and they are counted.

The two sum in different orders. A value that lies within a rounding error of a threshold is rounded to one
code by one and to the next by the other, or passes a gradient by one alone; whatever follows is then another
step. So that the rest can be compared, each activation of the simulation is given the board's value where
that is the same but for rounding and decides otherwise. Of anything else it keeps its own.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from blockwise.firmware.check.told import Told
from blockwise.firmware.float_facts import Levels
from blockwise.quant.layers import QuantActivation, Shared, Signed
from blockwise.quant.numeric.ranges import above_zero

ROUNDING = 1e-5
"""Of the largest value that an activation reads: what two orders of summation may differ by."""


class Decisions:
    """Hooks on the activations of a network; ``codes`` of them were compared, ``flips`` differ.

    ``masks`` counts gradients that pass one of the two alone.
    """

    def __init__(
        self, modules: Mapping[str, nn.Module], quantizers: Mapping[str, Levels], told: Iterable[Told]
    ) -> None:
        self.codes = self.flips = self.masks = 0
        self._told: dict[str, list[Told]] = {}
        for found in told:
            self._told.setdefault(found.layer, []).append(found)
        self._handles = [
            _once(modules[layer]).register_forward_pre_hook(self._hook(layer, quantizers.get(layer)))
            for layer in self._told
            if layer in modules
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Take the hooks off."""
        for handle in self._handles:
            handle.remove()

    def _hook(self, layer: str, levels: Levels | None) -> Any:
        def decide(module: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
            left = self._told[layer]
            return (self._decided(module, levels, given[0], left.pop(0)), *given[1:]) if left else None

        return decide

    def _decided(self, module: nn.Module, levels: Levels | None, x: Tensor, told: Told) -> Tensor:
        own, board = x.detach(), told.read.view_as(x).to(x.dtype)
        if levels is None:
            others = _linear(own, told.limits) != _linear(board, told.limits)
            self.masks += int(others.sum())
        else:
            step, formed = _step(module), _formed(module, own)
            others = _passes(levels, formed, step) != _passes(levels, _formed(module, board), step)
            others |= _linear(own, told.limits) != _linear(board, told.limits)
            self.masks += int(others.sum())
            flips = _codes(levels, formed, step) != told.made.view_as(x)
            self.codes, self.flips = self.codes + flips.numel(), self.flips + int(flips.sum())
            others |= flips
        near = (board - own).abs() <= ROUNDING * own.abs().max()
        return torch.where(others & near, x + (board - own), x)


def _once(module: nn.Module) -> nn.Module:
    """What is called once a step: behind a quantizer that several layers read."""
    return module.quantizer if isinstance(module, Shared) else module


def _linear(x: Tensor, limits: tuple[float, float]) -> Tensor:
    """Where a float activation passes a gradient."""
    return (x > limits[0]) & (x < limits[1])


def _formed(module: nn.Module, x: Tensor) -> Tensor:
    """What a quantizer reads: of an activation that is not its own, that."""
    return module.form(x) if isinstance(module, QuantActivation) else x


def _step(module: nn.Module) -> Tensor:
    """The size of a quantizer's step; of an activation with a quantizer, that one's."""
    quantizer: Any = module
    while not hasattr(quantizer, "step"):
        quantizer = quantizer.magnitude if isinstance(quantizer, Signed) else quantizer.quantizer
    return above_zero(quantizer.step).detach()


def _codes(levels: Levels, x: Tensor, step: Tensor) -> Tensor:
    return (x / step).clamp(levels.low, levels.high).round()


def _passes(levels: Levels, x: Tensor, step: Tensor) -> Tensor:
    return (x >= levels.low * step) & (x <= levels.high * step)
