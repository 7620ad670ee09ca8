"""Activations and the quantizers behind them: codes, or floats; and what goes back through them."""

import math

from blockwise.firmware.emit.floats.errors import Back
from blockwise.firmware.emit.floats.operands import Operands, no_form
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import call, dims_of, map_of, number
from blockwise.firmware.emit.floats.weights import range_of
from devices.network.ops import ReLU

Lines = list[str]


def forward(site: Site) -> Lines:
    """Codes where the layer has a quantizer, else floats."""
    output, levels, operands = site.made("output"), site.levels, Operands(site)
    if site.result("mask"):
        raise no_form(site.layer)
    at = operands.at(site.needed("input"), site.layer.shape)
    where = f"(struct map){map_of(site.batch(output), dims_of(site.layer.shape))}"
    if levels is None:
        return [
            call("activate_floats", where, _limits(site), at, operands.begins, "held", site.floats(output))
        ]
    step = site.size(site.stored("step") or "")
    if operands.by_channel:
        return [
            call(
                "activate_by_channel",
                where,
                levels.bits,
                range_of(levels),
                at,
                operands.begins,
                "held",
                site.number(step),
                site.bytes(output),
            )
        ]
    first = site.row(output) or 0
    return [
        call(
            "activate_codes",
            where,
            levels.bits,
            range_of(levels),
            at,
            "held",
            site.number(step),
            site.bytes(output),
            first,
        )
    ]


def _limits(site: Site) -> str:
    op = site.layer.op
    if not isinstance(op, ReLU):
        raise no_form(site.layer)
    high = op.low - 1.0 if op.high is None else op.high  # below the low one: none
    return f"(struct limits){{{number(op.low)}, {number(high)}}}"


def backward(site: Site) -> Lines:
    """In place on the gradient; a trained quantizer has its own."""
    back, levels = Back.of(site), site.levels
    to = site.floats(back.target)
    if levels is None:
        if not site.operand("saved output"):
            raise no_form(site.layer)
        output = back.operands.at(site.needed("saved output"), site.layer.shape)
        return [call("activation_backward", back.windows, output, back.gradient, "held", to)]
    if not site.operand("saved input"):
        raise no_form(site.layer)
    source, step = back.operands.at(site.needed("saved input"), site.layer.shape), site.stored("step")
    assert step is not None
    size = site.number(site.size(step))
    taken = f"{range_of(levels)}, {source}, {back.gradient}, held, {size}, {to}"
    found = f"quantizer_backward({back.windows}, {taken})"
    target = site.result("step gradient")
    if target is None:
        return [f"{found};"]
    scale = number((math.prod(site.layer.shape) * levels.high) ** -0.5)
    raw = f"*(const float *)({site.address(step)})"
    return [f"*{site.floats(target)} = step_gradient({found}, {raw}, {scale});"]
