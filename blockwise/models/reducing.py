"""Means, sums and maxima over dimensions of a map, as pools."""

import math
from collections.abc import Callable
from typing import Any

from torch import fx, nn

from blockwise.layers.scaled import Scaled
from blockwise.models.editing import Shape, argument, known, name_of
from blockwise.models.reshaping import Permute, Reshape

REDUCES = ("mean", "sum", "amax")
AVERAGES: tuple[Callable[[Any], nn.Module], ...] = (
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
)  # fmt: skip
MAXIMA: tuple[Callable[[Any], nn.Module], ...] = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)


def reduced(node: fx.Node, source: Shape) -> nn.Module | None:
    """A mean, sum or maximum over channels and dimensions of space, each of which keeps one place or goes.

    None for one over the batch, or over all that there is.
    """
    dims: Any = known(argument(node, "dim", 1))
    dims = [dims] if isinstance(dims, int) else dims
    rank = len(source) + 1
    gone = {dim % rank for dim in dims} if isinstance(dims, list | tuple) else set()
    if not gone or 0 in gone or rank == 2:
        return None
    left = tuple(1 if i in gone else size for i, size in enumerate(source, 1))
    steps = _over_channels(name_of(node), source) if 1 in gone else []
    steps += [_pool(name_of(node), source, left)] if gone - {1} else []
    if name_of(node) == "sum":
        steps.append(Scaled(math.prod(source) / math.prod(left)))
    steps += _shaped(left, node.meta["shape"])
    return steps[0] if len(steps) == 1 else nn.Sequential(*steps)


def _over_channels(called: str, source: Shape) -> list[nn.Module]:
    """A pool of the map whose channels stand last: (C, H, W) -> (1, H, W)."""
    channels, *space = source
    last = len(source)
    there, back = (0, *range(2, last + 1), 1), (0, last, *range(1, last))
    return [Permute(there), _pool(called, (*space, channels), (*space, 1)), Permute(back)]


def _pool(called: str, source: Shape, left: Shape) -> nn.Module:
    """Of whole dimensions of space."""
    made = windows(source, left) if called == "amax" else AVERAGES[len(source) - 2](left[1:])
    assert made is not None
    return made


def _shaped(left: Shape, made: Shape) -> list[nn.Module]:
    """Places of one are taken out where the result has fewer dimensions."""
    if made == left:
        return []
    return [nn.Flatten() if len(made) == 1 else Reshape(made)]


def windows(source: Shape, made: Shape) -> nn.Module | None:
    """A max pool down to the size of ``made``; None where the sides are no multiples."""
    sides = list(zip(source[1:], made[1:], strict=True))
    if not sides or any(side % left for side, left in sides):
        return None
    return MAXIMA[len(sides) - 1](tuple(side // left for side, left in sides))
