"""Sets of unevenly spaced levels, and a trained scale for them."""

import itertools
from bisect import bisect_left
from typing import Any

import torch
from torch import Tensor

from blockwise.quant.numeric.estimators import within


class LevelSet:
    """Levels that are whole numbers of a unit, of which the last is the largest magnitude.

    Every threshold, halfway between two levels, is a whole number of half units: a table over half
    units finds the nearest level at once, several times as fast as a search.
    """

    def __init__(self, units: tuple[int, ...]) -> None:
        self.units, self.top = units, units[-1]
        ends = range(min(2 * units[0], 0), 2 * self.top + 1)
        thresholds = [lower + upper for lower, upper in itertools.pairwise(units)]  # in half units
        self.cells = [bisect_left(thresholds, end) for end in ends]
        self.values = [unit / self.top for unit in units]
        self._first = ends.start
        self._tables: dict[tuple[torch.dtype, torch.device], Tensor] = {}

    def nearest(self, x: Tensor) -> Tensor:
        """The nearest level to ``x`` where the largest is 1; halfway the lower one. NaN stays NaN."""
        found = _look_up(self._table(x), self._cell(x))
        return torch.where(x.isnan(), x, found)

    def _table(self, x: Tensor) -> Tensor:
        """The level of every cell, sent to an accelerator once; a compiler keeps constants by itself."""
        if torch.compiler.is_compiling():
            return x.new_tensor([self.values[cell] for cell in self.cells])
        key = x.dtype, x.device
        if key not in self._tables:
            self._tables[key] = x.new_tensor([self.values[cell] for cell in self.cells])
        return self._tables[key]

    def codes(self, x: Tensor) -> Tensor:
        """The numbers of the nearest levels, from 0 for the lowest."""
        return _look_up(torch.tensor(self.cells, device=x.device), self._cell(x))

    def _cell(self, x: Tensor) -> Tensor:
        """How many half units from the lowest the cell of ``x`` ends; cells include their upper end."""
        halves = (x * (2 * self.top)).clamp_(self._first, 2 * self.top).ceil_().nan_to_num_(self._first)
        return halves.sub_(self._first).to(torch.int32)


def _look_up(table: Tensor, index: Tensor) -> Tensor:
    """``table[index]``, in the memory layout of ``index``."""
    if index.is_contiguous() or index.ndim != 4:
        return table.index_select(0, index.reshape(-1)).view(index.shape)
    last = index.permute(0, 2, 3, 1)  # contiguous if channels come last
    return table.index_select(0, last.reshape(-1)).view(last.shape).permute(0, 3, 1, 2)


class _ScaledLevelsFunction(torch.autograd.Function):
    """s Q(v/s) for levels Q whose largest is 1.

    ds = sum g (Q(v/s) - v/s inside the range, else its end), which is (sum g v_q - sum g v inside) / s.
    """

    @staticmethod
    def forward(
        ctx: Any, v: Tensor, scale: Tensor, levels: LevelSet, clips: bool, gradient_scale: float
    ) -> Tensor:
        quantized = levels.nearest(v / scale).mul_(scale)
        ctx.save_for_backward(v, quantized, scale)
        ctx.low, ctx.clips, ctx.gradient_scale = levels.values[0], clips, gradient_scale
        return quantized

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        (g,) = grads
        v, quantized, scale = ctx.saved_tensors
        inside = within(g, v / scale, ctx.low, 1)
        total = (g * quantized).sum() - (inside * v).sum()
        g_scale = (total / scale * ctx.gradient_scale).view_as(scale)
        return inside if ctx.clips else g, g_scale, None, None, None


def scaled_levels(
    v: Tensor, scale: Tensor, levels: LevelSet, *, clips: bool, gradient_scale: float = 1.0
) -> Tensor:
    """``v`` on levels times ``scale``; where it is ``clips``, no gradient passes beyond the ends."""
    return _ScaledLevelsFunction.apply(v, scale, levels, clips, gradient_scale)  # type: ignore[no-any-return]
