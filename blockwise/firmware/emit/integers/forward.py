"""Statements of operations going forward: sums, their requantization, pools, the loss."""

from collections.abc import Sequence

from blockwise.firmware.emit.integers import zeroth_order
from blockwise.firmware.emit.integers.context import Context, is_relu
from blockwise.firmware.emit.text import literal
from blockwise.integer.init import xavier_exponent
from blockwise.integer.nitro import scale_factor
from blockwise.integer.tensor import INT4, INT8
from devices.network import Layer
from devices.program.operation import tensors_of


def load(c: Context) -> Sequence[str]:
    """Images and labels are there; pixels become mantissas."""
    images = c.planned(c.result("images"))
    return [f"centre({c.at(images.name)}, {images.elements});"]


def sums(c: Context) -> Sequence[str]:
    """Sums that wait, and the largest of them."""
    layer, target = c.layer, c.result("output")
    to = f"{c.sums(c.result('front'), target)}, {_largest_of(c, layer)}"
    return [
        f"largest = buffered_sums({c.geometry(layer)}, {c.codes('input')}, {c.weights(layer)}, {to});",
        f"{c.exponents.to(target)} = {c.exponents.of(c.operand('input'))} + {weight_exponent(c, layer)};",
    ]


def largest_sum(c: Context) -> Sequence[str]:
    """Only the largest is kept."""
    layer = c.layer
    inputs = f"{c.geometry(layer)}, {c.codes('input')}, {c.weights(layer)}"
    return [f"largest = largest_sum({inputs}, {_largest_of(c, layer)});"]


def requantize(c: Context) -> Sequence[str]:
    """Sums to codes: those that wait, those that are made again, and NITRO-D's as they are made."""
    maker = c.maker()
    if c.scaled:
        return _scaled(c, maker)
    target, before = c.result("output"), c.exponents.of(c.operand("input"))
    bits, relu = c.planned(target).bits, is_relu(c.layer)
    to = literal("requantized", {
        "codes": c.at(target), "bits": bits, "mask": c.at(c.result("mask")), "relu": int(relu),
        "shift": "shift",
    })  # fmt: skip
    shift = f"int32_t shift = shift_for(largest, {bits if bits < INT8.bits else INT8.magnitude_bits});"
    if c.has("weight"):
        made = f"requantized_sums({c.geometry(maker)}, {c.codes('input')}, {c.weights(maker)}, {to});"
        before = f"{before} + {weight_exponent(c, maker)}"
    else:
        made = f"requantize({waiting(c, 'input')}, {c.elements(maker)}, {to});"
    return [shift, made, f"{c.exponents.to(target)} = {before} + shift;"]


def waiting(c: Context, role: str) -> str:
    """Sums that an operation reads from their buffer."""
    front = tensors_of(c.operand("front"))[0] if c.has("front") else ""
    return c.sums(front, c.tensor(role).name)


def _scaled(c: Context, maker: Layer) -> Sequence[str]:
    to = literal("scaled", {
        "codes": c.at(c.result("output")), "ranges": c.at(c.result("mask")), "relu": int(is_relu(c.layer)),
        "factor": scale_factor(c.place(maker.name).shape),
    })  # fmt: skip
    return [f"scaled_sums({c.geometry(maker)}, {c.codes('input')}, {c.weights(maker)}, {to});"]


def weight_exponent(c: Context, layer: Layer) -> int:
    """Of a layer's weights: it follows from their shape."""
    place, arithmetic = c.place(layer.name), c.firmware.facts.arithmetic
    format = arithmetic.form(place).deployed  # type: ignore[attr-defined]
    return xavier_exponent(place.shape, INT4 if format.bits == INT4.bits else INT8, place.steps.groups)


def _largest_of(c: Context, layer: Layer) -> str:
    """What is looked for: before a ReLU negative sums count as 0."""
    return "POSITIVE" if c.place(layer.name).relu else "MAGNITUDE"


def max_pool(c: Context) -> Sequence[str]:
    """The largest of each window, and its place."""
    argmax, target = c.result("argmax"), c.result("output")
    bits = c.planned(argmax).bits if argmax else 0
    to = f"{c.at(target)}, {c.at(argmax)}, {bits}"
    made = f"max_pool({c.map(source(c))}, {windows(c)}, {c.codes('input')}, {to});"
    return [made, *_moved(c, target, 0)]


def avg_pool(c: Context) -> Sequence[str]:
    """Means as int8."""
    target = c.result("output")
    spare = INT8.magnitude_bits - c.magnitude_bits("input")
    return [
        f"avg_pool({c.map(source(c))}, {windows(c)}, {c.codes('input')}, {spare}, {c.at(target)});",
        *_moved(c, target, -spare),
    ]


def _moved(c: Context, target: str, by: int) -> Sequence[str]:
    """The exponent goes along."""
    if not c.exponents.kept:
        return []
    return [f"{c.exponents.to(target)} = {c.exponents.of(c.operand('input'))} + {by};"]


def windows(c: Context) -> str:
    """Those of a pool."""
    rows, columns = c.windows(c.layer)
    return literal("windows", {"rows": rows, "columns": columns})


def source(c: Context) -> tuple[int, ...]:
    """The shape of what the operation's layer reads."""
    return c.firmware.source_shape(c.layer)


def loss(c: Context) -> Sequence[str]:
    """The error of the logits, if anything goes back; before it, it may overwrite them, their losses."""
    logits, labels = (operand for role, operand in c.operation.operands if role == "input")
    (source,), (classes,) = tensors_of(logits), tensors_of(labels)
    tensor, label_bytes = c.planned(source), c.planned(classes).bits // 8
    given = f"{c.at(source)}, {c.at(classes)}, {label_bytes}, {c.at(c.result('output'))}"
    sizes = f"{c.batch}, {tensor.elements // c.batch}"
    if c.scaled:
        return [f"nitro_errors({given}, {sizes});"]
    exponent = c.exponents.of(logits)
    losses = f"softmax_losses({c.at(source)}, {c.at(classes)}, {label_bytes}, {sizes}, {exponent})"
    errors = [f"softmax_errors({given}, {sizes}, {exponent});"] if c.is_read(c.result("output")) else []
    return [*zeroth_order.told(c, losses), *errors]
