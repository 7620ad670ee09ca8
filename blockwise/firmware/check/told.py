"""What a program on this computer tells of its activations: what each read, and what it made.

Only a project that is written for it does (:func:`telling`); c/floats/told.h is its side.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor, cat, from_numpy

from blockwise.firmware.emit.floats.order import map_behind
from blockwise.firmware.emit.floats.text import dims_of
from blockwise.firmware.float_facts import FloatFacts
from blockwise.firmware.program import Firmware
from devices.network import Layer
from devices.network.ops import ELU, LeakyReLU, ReLU, Sigmoid, Swish, Tanh
from devices.program.schedule import Schedule

FILE = "told.out"
ACTIVATIONS = ("relu", "leaky_relu", "swish", "gelu", "mish", "sigmoid", "tanh", "elu", "quantize")
HARD = -3.0, 3.0
"""Of a hard swish or sigmoid."""


@dataclass(frozen=True)
class Told:
    """One activation of one step: (B, ...) what it read, and what it made: codes as floats, or floats.

    One that makes floats has one derivative between its limits and another beyond, or a smooth one.
    """

    layer: str
    read: Tensor
    made: Tensor
    limits: tuple[float, float]


def telling(firmware: Firmware) -> Firmware:
    """The same firmware, whose program tells; it saves nothing."""
    assert isinstance(firmware.arithmetic, FloatFacts)
    return replace(firmware, arithmetic=replace(firmware.arithmetic, tells=True), save_every=0)


def told_of(schedule: Schedule, steps: Iterable[range], path: Path) -> list[Told]:
    """Of the operations of some steps, in their order. What a loop makes image by image is put together.

    Raises ValueError where the file has more or less than that.
    """
    values = np.fromfile(path, "<f4") if path.exists() else np.empty(0, "<f4")  # without any activation
    at, found = 0, []
    for step in steps:
        pieces: dict[int, list[Tensor]] = {}
        for index in _order(schedule, step):
            shape = _shape(schedule, index)
            count = 2 * math.prod(shape)
            pieces.setdefault(index, []).append(from_numpy(values[at : at + count]).view(2, *shape))
            at += count
        found += [_told(schedule, index, parts) for index, parts in pieces.items()]
    if at != len(values):
        raise ValueError(f"{path} has {len(values)} values, {at} were expected")
    return found


def _shape(schedule: Schedule, index: int) -> tuple[int, int, int, int]:
    """In which a map is told by one pass of an operation: (C, B, H, W)."""
    operation = schedule.operations[index]
    output = next(name for role, name in operation.results if role == "output")
    looped = any(loop.first <= index <= loop.last for loop in schedule.loops)
    height, width, channels = dims_of(schedule.layers[operation.layer].shape)
    return channels, 1 if looped else schedule.tensors[output].shape[0], height, width


def _told(schedule: Schedule, index: int, parts: list[Tensor]) -> Told:
    layer = schedule.layers[schedule.operations[index].layer]
    read, made = cat(parts, 2).transpose(1, 2).reshape(2, -1, *layer.shape)
    if len(layer.shape) == 1:
        channels, rows, columns = map_behind(schedule, layer.inputs[0], *layer.shape)
        lies = read.shape[0], rows, columns, channels  # if it is a flattened map
        read, made = (x.view(lies).permute(0, 3, 1, 2).flatten(1) for x in (read, made))
    return Told(layer.name, read, made, _limits(layer))


def _limits(layer: Layer) -> tuple[float, float]:
    """Between which a derivative is another than beyond."""
    op = layer.op
    if isinstance(op, ReLU):
        return op.low, math.inf if op.high is None else op.high
    if isinstance(op, LeakyReLU):
        return 0.0, math.inf
    if isinstance(op, Tanh) and op.hard:
        return op.low, op.high
    if isinstance(op, ELU) and op.alpha != 1:
        return 0.0, math.inf
    return HARD if isinstance(op, Swish | Sigmoid) and op.hard else (-math.inf, math.inf)


def _order(schedule: Schedule, step: range) -> Iterator[int]:
    """The activations, as often as they are performed."""
    index = step.start
    while index < step.stop:
        loop = next((x for x in schedule.loops if x.first == index), None)
        if loop is None:
            yield from _if_activation(schedule, index)
            index += 1
            continue
        for _ in range(loop.passes):
            for inner in range(loop.first, loop.last + 1):
                yield from _if_activation(schedule, inner)
        index = loop.last + 1


def _if_activation(schedule: Schedule, index: int) -> Iterator[int]:
    operation = schedule.operations[index]
    layer = schedule.layers.get(operation.layer)
    if layer is not None and layer.kind in ACTIVATIONS and operation.action == "forward":
        yield index
