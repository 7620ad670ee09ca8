"""Which pools integer regimes have no form for."""

import math
from collections.abc import Iterator, Sequence

from devices.network import Layer, Network
from devices.network.ops import AdaptiveAvgPool, AvgPool, MaxPool
from devices.program.integer import IntegerForm
from devices.trainability.outcome import Obstacle

MOST_PLACES = 256
"""So many a byte tells apart."""


def pool_obstacles(network: Network, layers: Sequence[Layer], form: IntegerForm) -> Iterator[Obstacle]:
    """Windows stand side by side. Where sums are divided by constants, those of means are shifts."""
    shapes = {layer.name: layer.shape for layer in network.all_layers}
    for layer in layers:
        op = layer.op
        if not isinstance(op, MaxPool | AvgPool | AdaptiveAvgPool):
            continue
        sides = shapes.get(layer.inputs[0], network.in_shape)[1:]
        if isinstance(op, AdaptiveAvgPool):
            yield from _even_windows(layer, sides, form)
        elif not _side_by_side(op, sides, layer.shape[1:]):
            what = op.words
            yield Obstacle(
                f"windows of {what} that overlap or reach beyond the map, on integers",
                f"{what} {layer.name}",
                f"windows of {_sides(op.kernel)}, {_sides(op.stride)} apart, padded by {_sides(op.padding)}",
                "windows side by side within the map in integer regimes", "use another --model",
            )  # fmt: skip
        elif isinstance(op, AvgPool):
            yield from _shifts(layer, op.kernel, form)
        elif math.prod(op.kernel) > MOST_PLACES:
            yield Obstacle(
                f"max pools of more than {MOST_PLACES} places on integers", f"max pool {layer.name}",
                f"windows of {_sides(op.kernel)}", f"at most {MOST_PLACES} places, which a byte tells",
                "pool in two steps, or use another --model",
            )  # fmt: skip


def _side_by_side(op: MaxPool | AvgPool, sides: Sequence[int], pooled: Sequence[int]) -> bool:
    """Whether windows neither overlap nor leave anything between them, nor reach beyond the map."""
    close = isinstance(op, AvgPool) or set(op.dilation) == {1}
    whole = tuple(size // side for size, side in zip(sides, op.kernel, strict=True)) == tuple(pooled)
    return close and op.stride == op.kernel and not any(op.padding) and whole


def _even_windows(layer: Layer, sides: Sequence[int], form: IntegerForm) -> Iterator[Obstacle]:
    pooled = layer.shape[1:]
    if any(size % left for size, left in zip(sides, pooled, strict=True)):
        yield Obstacle(
            f"an average of {_sides(sides)} down to {_sides(pooled)} on integers",
            f"average pool {layer.name}", f"a map of {_sides(sides)} for {_sides(pooled)}",
            "windows of one size in integer regimes", "use another --image-size or --head",
        )  # fmt: skip
    else:
        yield from _shifts(layer, [size // left for size, left in zip(sides, pooled, strict=True)], form)


def _shifts(layer: Layer, window: Sequence[int], form: IntegerForm) -> Iterator[Obstacle]:
    """NITRO-D takes what a mean divides off its error by a shift."""
    count = math.prod(window)
    if form.scaled and count & count - 1:
        yield Obstacle(
            f"an average over {_sides(window)} in NITRO-D", f"average pool {layer.name}",
            f"windows of {_sides(window)}", "windows of a power of two in NITRO-D: a shift divides",
            "use another --image-size or --head, or NITI's regimes",
        )  # fmt: skip


def _sides(lengths: Sequence[int]) -> str:
    return "x".join(map(str, lengths))
