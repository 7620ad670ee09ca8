"""Convolutions and pools in a row, written as a plan."""

from collections.abc import Callable, Sequence

from torch import nn

from blockwise.nets.chain import Unit

Plan = Sequence[int | str]
"""Channels of each 3x3 convolution as multiples of a width, and "M" for a 2x2 max pool behind one."""


def conv_units(
    plan: Plan, in_shape: tuple[int, ...], width: int, conv_unit: Callable[..., nn.Module]
) -> tuple[list[Unit], int, int]:
    """The units of ``plan``, the features they end with, and the stage of what follows.

    ``conv_unit(in_channels, channels, pool=...)`` makes one. A pool that would leave nothing of a small
    image is left out.
    """
    channels, (height, size) = in_shape[0], in_shape[1:]
    units: list[Unit] = []
    stage = 0
    for i, step in enumerate(plan):
        if isinstance(step, str):
            continue
        pool = plan[i + 1 : i + 2] == ("M",) and min(height, size) > 1
        units.append(Unit(f"conv{len(units) + 1}", conv_unit(channels, step * width, pool=pool), stage))
        channels = step * width
        if pool:
            stage, height, size = stage + 1, height // 2, size // 2
    return units, channels * height * size, stage
