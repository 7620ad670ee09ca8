"""Statements of operations going back: errors of activations, pools and layers with weights."""

import math
from collections.abc import Sequence

from blockwise.firmware.emit.integers.context import Context, width
from blockwise.firmware.emit.integers.forward import source, waiting, windows
from blockwise.firmware.emit.text import literal
from blockwise.integer.tensor import INT8
from devices.network.ops import AdaptiveAvgPool, AvgPool, MaxPool
from devices.program.operation import tensors_of


def stay(c: Context) -> Sequence[str]:
    """The error is there already, at the place where it is wanted."""
    source, target = c.tensor("gradient").name, c.result("input gradient")
    if source == target:
        return []
    return [f"copy_bytes({c.at(target)}, {c.at(source)}, {c.planned(target).bytes});"]


def requantized(c: Context) -> Sequence[str]:
    """As :func:`stay`; in NITRO-D what means took off before is divided."""
    divisor = _divisor(c) if c.scaled else 1
    if divisor == 1:
        return stay(c)
    return [f"nitro_divide({c.map(c.layer.shape)}, {c.errors()}, {divisor}, {_target(c)});"]


def relu(c: Context) -> Sequence[str]:
    """The error where the sums were positive; in NITRO-D by the slope of each range."""
    given = f"{c.map(c.layer.shape)}, {c.errors()}, {c.at(c.tensor('saved mask').name)}"
    target = c.at(c.result("input gradient"))
    if not c.scaled:
        return [f"relu_backward({given}, {target});"]
    return [f"nitro_relu_backward({given}, {_divisor(c)}, {target});"]


def _divisor(c: Context) -> int:
    """What the pools that the error came back through have left to divide: as many as each mean is of."""
    operations, layers = c.firmware.schedule.operations, c.firmware.layers
    name, divisor = tensors_of(c.operand("gradient"))[0], 1
    for earlier in reversed(operations[: operations.index(c.operation)]):
        if ("input gradient", name) not in earlier.results:
            continue
        op = layers[earlier.layer].op
        if isinstance(op, AvgPool | AdaptiveAvgPool):
            divisor *= math.prod(c.windows(layers[earlier.layer]))
        elif not isinstance(op, MaxPool):
            break
        name = next(tensors_of(operand)[0] for role, operand in earlier.operands if role == "gradient")
    return divisor


def max_pool(c: Context) -> Sequence[str]:
    """To the largest of each window."""
    errors = c.held(c.tensor("gradient"), c.tensor("saved argmax").name, c.layer)
    return [f"max_pool_backward({c.map(source(c))}, {errors}, {_target(c)});"]


def avg_pool(c: Context) -> Sequence[str]:
    """To all of the window."""
    return [f"avg_pool_backward({c.map(source(c))}, {windows(c)}, {c.errors()}, {_target(c)});"]


def _target(c: Context) -> str:
    """How the error that is made is stored, and where: that of a loss may be narrower."""
    found = c.planned(c.result("input gradient"))
    return f"{width(found)}, {c.at(found.name)}"


def input_sums(c: Context) -> Sequence[str]:
    """Into a buffer; or, their largest being known, requantized at once; NITRO-D's as they are."""
    layer = c.layer
    given = f"{c.geometry(layer)}, {c.errors()}, {c.weights(layer)}"
    if c.result("sums"):
        return [f"largest = buffered_input_sums({given}, {c.sums(c.result('front'), c.result('sums'))});"]
    target = c.result("input gradient")
    if c.scaled:
        return [f"stored_input_sums({given}, {c.at(target)});"]
    return [f"requantized_input_sums({given}, {_to_int8(c, target)});"]


def largest_input_sum(c: Context) -> Sequence[str]:
    """Only the largest is kept."""
    layer = c.layer
    return [f"largest = largest_input_sum({c.geometry(layer)}, {c.errors()}, {c.weights(layer)});"]


def requantize(c: Context) -> Sequence[str]:
    """To int8, by the largest."""
    target = c.result("input gradient")
    count = c.planned(target).elements
    return [f"requantize({waiting(c, 'sums')}, {count}, {_to_int8(c, target)});"]


def _to_int8(c: Context, target: str) -> str:
    shift = f"shift_for(largest, {INT8.magnitude_bits})"
    return literal("requantized", {
        "codes": c.at(target), "bits": INT8.bits, "mask": 0, "relu": 0, "shift": shift,
    })  # fmt: skip
