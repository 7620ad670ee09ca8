"""Activations and the quantizers behind them: codes, or floats; and what goes back through them."""

import math

from blockwise.firmware.emit.floats.errors import Back
from blockwise.firmware.emit.floats.operands import Operands
from blockwise.firmware.emit.floats.places import no_form
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import call, dims_of, map_of, number
from blockwise.firmware.emit.floats.weights import range_of
from devices.network.ops import ReLU
from devices.program.operation import Stored

Lines = list[str]
WITHIN = "(struct limits){0.0f, -1.0f}"
"""What is above zero passes."""


def forward(site: Site) -> Lines:
    """Codes where the layer has a quantizer, else floats."""
    operands = Operands(site)
    at = operands.at(site.needed("input"), site.layer.shape)
    where = f"(struct map){map_of(site.batch(site.made('output')), dims_of(site.layer.shape))}"
    made = _made(site, where, at, operands)
    return _telling(site, where, at, operands, made) if site.facts.tells else made


def _made(site: Site, where: str, at: str, operands: Operands) -> Lines:
    output, levels, mask = site.made("output"), site.levels, site.result("mask")
    if levels is None:
        limits, to = _limits(site), site.floats(output)
        made = [call("activate_floats", where, limits, at, operands.begins, "held", to)]
        return made if mask is None else [*made, call("mask_of_floats", where, limits, to, site.bytes(mask))]
    step, to = site.number(site.size(site.stored("step") or "")), site.bytes(output)
    quantizer = levels.bits, range_of(levels)
    if operands.by_channel:
        return [call("activate_by_channel", where, *quantizer, at, operands.begins, "held", step, to)]
    first = site.row(output) or 0
    return [call("activate_codes", where, *quantizer, at, "held", step, to, first, site.bytes(mask))]


def _telling(site: Site, where: str, at: str, operands: Operands, made: Lines) -> Lines:
    """Codes may lie where what they are made of lay: that is told first, and then what is made, as codes."""
    output = operands.at(Stored(site.made("output"), (), site.layer.name), site.layer.shape)
    return [
        call("tell_map", where, at, operands.begins, "held"), *made,
        call("tell_map", where, output, "nothing_begins", "held"),
    ]  # fmt: skip


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
    told = site.operand("saved mask") or (site.operand("saved output") if levels is None else None)
    if told is not None:  # a mask is 1 where a gradient passes
        limits = _limits(site) if site.operand("saved mask") is None else WITHIN
        output = back.operands.at(told, site.layer.shape)
        return [call("activation_backward", back.windows, limits, output, back.gradient, "held", to)]
    if levels is None or not site.operand("saved input"):
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
