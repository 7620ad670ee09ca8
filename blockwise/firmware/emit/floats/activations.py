"""Activations and the quantizers behind them: codes, or floats; and what goes back through them."""

import math

from blockwise.firmware.emit.floats import forms
from blockwise.firmware.emit.floats.errors import Back
from blockwise.firmware.emit.floats.operands import ELEMENT, UNUSED, Operands
from blockwise.firmware.emit.floats.places import no_form
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import call, dims_of, map_of, number
from blockwise.firmware.emit.floats.weights import range_of
from devices.network.ops import LeakyReLU, Quantize, ReLU
from devices.program.operation import Stored

Lines = list[str]
WITHIN = "(struct limits){0.0f, -1.0f}"
"""What is above zero passes."""
NONE = "0"
"""No derivative but that of the quantizer."""


def forward(site: Site) -> Lines:
    """Codes where the layer has a quantizer, else floats."""
    operands = Operands(site)
    at = operands.at(site.needed("input"), site.layer.shape)
    where = f"(struct map){map_of(site.batch(site.made('output')), dims_of(site.layer.shape))}"
    made = _made(site, where, at, operands)
    return _telling(site, where, at, operands, made) if site.facts.tells else made


def _made(site: Site, where: str, at: str, operands: Operands) -> Lines:
    if site.levels is None:
        return _floats(site, where, at, operands)
    output, levels, mask = site.made("output"), site.levels, site.result("mask")
    step, to = site.number(site.size(site.stored("step") or "")), site.bytes(output)
    quantizer, formed = (levels.bits, range_of(levels)), _formed(site, at)
    if operands.by_channel:
        return [call("activate_by_channel", where, *quantizer, formed, operands.begins, "held", step, to)]
    first, slope = site.row(output) or 0, NONE
    if mask is not None and formed != at:
        slope = _function(site, "slope", forms.slope_at(site.layer.op, f"{at}(held, b, y, x, c)") or "")
    return [
        call("activate_codes", where, *quantizer, formed, slope, "held", step, to, first, site.bytes(mask))
    ]


def _floats(site: Site, where: str, at: str, operands: Operands) -> Lines:
    output, mask, op = site.made("output"), site.result("mask"), site.layer.op
    read, to = (at, operands.begins, "held"), site.floats(output)
    if isinstance(op, LeakyReLU):
        sign = site.bytes(site.result("sign"))
        return [call("activate_leaky", where, number(op.slope), *read, to, sign)]
    if not isinstance(op, ReLU):
        return [call("store_map", where, _formed(site, at), *read[1:], to)]
    limits = forms.limits_of(op)
    made = [call("activate_floats", where, limits, *read, to)]
    return made if mask is None else [*made, call("mask_of_floats", where, limits, to, site.bytes(mask))]


def _formed(site: Site, at: str) -> str:
    """The operand behind the activation, unless the quantizer's own range is all of it."""
    op = site.layer.op
    if isinstance(op, Quantize) or (isinstance(op, ReLU) and not op.bounded):
        return at
    found = forms.form_of(op, f"{at}(held, b, y, x, c)")
    if found is None:
        raise no_form(site.layer)
    return _function(site, "formed", found)


def _function(site: Site, kind: str, value: str) -> str:
    return site.function(kind, "float", ELEMENT, f"{UNUSED} return {value};")


def _telling(site: Site, where: str, at: str, operands: Operands, made: Lines) -> Lines:
    """Codes may lie where what they are made of lay: that is told first, and then what is made, as codes."""
    output = operands.at(Stored(site.made("output"), (), site.layer.name), site.layer.shape)
    return [
        call("tell_map", where, at, operands.begins, "held"), *made,
        call("tell_map", where, output, "nothing_begins", "held"),
    ]  # fmt: skip


def backward(site: Site) -> Lines:
    """In place on the gradient; a trained quantizer has its own."""
    if site.levels is not None and site.operand("saved input"):
        return _through_quantizer(site)
    told = site.operand("saved mask") or (site.operand("saved output") if site.levels is None else None)
    if told is None or not isinstance(site.layer.op, ReLU | Quantize):
        return _by_slope(site)
    back = Back.of(site)  # a mask is 1 where a gradient passes
    limits = WITHIN if site.operand("saved mask") else forms.limits_of(site.layer.op)  # type: ignore[arg-type]
    output = back.operands.at(told, site.layer.shape)
    to = site.gradient(back.target)
    return [call("activation_backward", back.windows, limits, output, back.gradient, "held", to)]


def _by_slope(site: Site) -> Lines:
    """Times the derivative, by what was saved of the activation."""
    back = Back.of(site)
    slope = _slope(site, back)
    return [call("slope_backward", back.windows, slope, back.gradient, "held", site.gradient(back.target))]


def _slope(site: Site, back: Back) -> str:
    """The function of the derivative."""
    op, shape = site.layer.op, site.layer.shape
    for role, form in (("saved input", forms.slope_at), ("saved output", forms.slope_of)):
        saved = site.operand(role)
        found = saved and form(op, f"{back.operands.at(saved, shape)}(held, b, y, x, c)")
        if found:
            return _function(site, "slope", found)
    sign = site.operand("saved sign")
    if sign is None or not isinstance(op, LeakyReLU):
        raise no_form(site.layer)
    negative = f"{back.operands.at(sign, shape)}(held, b, y, x, c)"
    return _function(site, "slope", f"{negative} != 0.0f ? {number(op.slope)} : 1.0f")


def _through_quantizer(site: Site) -> Lines:
    back, levels = Back.of(site), site.levels
    assert levels is not None
    source = back.operands.at(site.needed("saved input"), site.layer.shape)
    made, step = _formed(site, source), site.stored("step")
    slope = NONE if made == source else _slope(site, back)
    assert step is not None
    size = site.number(site.size(step))
    taken = (
        f"{range_of(levels)}, {made}, {slope}, {back.gradient}, held, {size}, {site.gradient(back.target)}"
    )
    found = f"quantizer_backward({back.windows}, {taken})"
    target = site.result("step gradient")
    if target is None:
        return [f"{found};"]
    scale = number((math.prod(site.layer.shape) * levels.high) ** -0.5)
    raw = f"*(const float *)({site.address(step)})"
    return [f"*{site.floats(target)} = step_gradient({found}, {raw}, {scale});"]
