"""Activations and the quantizers behind them: codes, or floats; and what goes back through them."""

import math
from dataclasses import dataclass

from blockwise.firmware.emit.floats.operands import Operands, no_form
from blockwise.firmware.emit.floats.pools import pool_of
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import call, dims_of, map_of, number
from blockwise.firmware.emit.floats.weights import range_of
from devices.network.ops import MaxPool, ReLU
from devices.program.operation import Derived, Operand, Stored

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


@dataclass(frozen=True)
class Back:
    """Where a gradient is taken element by element: its own map, or the windows of a pool behind it."""

    domain: str
    spot: str  # where an element stands in the layer's map
    gradient: str
    target: str | None
    operands: Operands

    @classmethod
    def of(cls, site: Site) -> "Back":
        """Of an operation that goes back in place."""
        operand, layer, target = site.needed("gradient"), site.layer, site.result("input gradient")
        operands, pool = Operands(site), _pool_behind(site, operand, target)
        source = operand
        while isinstance(source, Derived):
            source = source.inputs[0]
        batch = site.batch(source.tensor)
        if pool is None:
            at = operands.at(operand, layer.shape)
            return cls(f"(struct map){map_of(batch, dims_of(layer.shape))}", "own_spot", at, target, operands)
        assert isinstance(operand, Derived)
        gradient, where = operand.inputs
        assert isinstance(where, Stored)
        out = site.schedule.layers[pool].shape
        domain = f"(struct map){map_of(batch, dims_of(out))}"
        bits = site.tensor(where.tensor).bits
        code = f"code_at({site.bytes(where.tensor)}, {bits}, element({domain}, b, i, j, c))"
        body = f"return spot_in_map({pool_of(site, site.schedule.layers[pool], batch)}, i, j, (int){code});"
        spot = site.function("spot", "struct spot", "int b, int i, int j, int c", body)
        return cls(domain, spot, operands.at(gradient, out), target, operands)


def _pool_behind(site: Site, operand: Operand, target: str | None) -> str | None:
    """The pool through whose positions the gradient is read, if nothing else is written."""
    if not isinstance(operand, Derived) or not isinstance(site.schedule.layers[operand.layer].op, MaxPool):
        return None
    if target is None:
        return operand.layer
    tensor = site.tensor(target)
    whole = tensor.shape[0] * math.prod(site.layer.shape)
    return operand.layer if tensor.elements < whole else None


def backward(site: Site) -> Lines:
    """In place on the gradient; a trained quantizer has its own."""
    back, levels = Back.of(site), site.levels
    to = site.floats(back.target)
    if levels is None:
        if not site.operand("saved output"):
            raise no_form(site.layer)
        output = back.operands.at(site.needed("saved output"), site.layer.shape)
        return [call("activation_backward", back.domain, back.spot, output, back.gradient, "held", to)]
    if not site.operand("saved input"):
        raise no_form(site.layer)
    source, step = back.operands.at(site.needed("saved input"), site.layer.shape), site.stored("step")
    assert step is not None
    size = site.number(site.size(step))
    taken = f"{range_of(levels)}, {source}, {back.gradient}, held, {size}, {to}"
    found = f"quantizer_backward({back.domain}, {back.spot}, {taken})"
    target = site.result("step gradient")
    if target is None:
        return [f"{found};"]
    scale = number((math.prod(site.layer.shape) * levels.high) ** -0.5)
    raw = f"*(const float *)({site.address(step)})"
    return [f"*{site.floats(target)} = step_gradient({found}, {raw}, {scale});"]
