"""Trained factors and summands of channels: the layer scale of a residual block."""

from blockwise.firmware.emit.floats.joined import put_map
from blockwise.firmware.emit.floats.operands import ELEMENT, UNUSED, Operands
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import call, dims_of, map_of
from devices.network.ops import Affine

Lines = list[str]


def forward(site: Site) -> Lines:
    """Each channel by its factor, then its summand."""
    operands, (factor, summand) = Operands(site), _parts(site)
    value = f"{operands.at(site.needed('input'), site.layer.shape)}(held, b, y, x, c)"
    value = f"{value} * {factor}" if factor else value
    value = f"{value} + {summand}" if summand else value
    made, to = _function(site, value), site.made("output")
    return [call("store_map", _map(site, to), made, operands.begins, "held", site.floats(to))]


def backward(site: Site) -> Lines:
    """Gradients of factors read the input; that of the input goes by the factors, in place."""
    operands, (factor, summand), shape = Operands(site), _parts(site), site.layer.shape
    found, target = site.result("bias gradient"), site.result("input gradient")
    gradient, lines = operands.at(site.needed("gradient"), shape), list[str]()
    where, channels = _map(site, target or site.stored("gradient") or ""), dims_of(shape)[2]
    if found is not None and factor:
        source = operands.at(site.needed("saved input"), shape)
        product = _function(site, f"{gradient}(held, b, y, x, c) * {source}(held, b, y, x, c)")
        lines.append(call("bias_gradient", where, product, "held", site.floats(found)))
    if found is not None and summand:
        to = f"{site.floats(found)} + {channels if factor else 0}"
        lines.append(call("bias_gradient", where, gradient, "held", to))
    if target is not None:
        through = _function(site, f"{gradient}(held, b, y, x, c) * {factor or '1.0f'}")
        lines.append(put_map(site, where, target, through))
    return lines


def _parts(site: Site) -> tuple[str, str]:
    """Factor and summand of channel c; "" for what is not there."""
    op, found = site.layer.op, f"({site.floats(site.stored('bias'))})"
    assert isinstance(op, Affine)
    return f"{found}[c]" if op.scales else "", f"{found}[{op.channels * op.scales} + c]" if op.shifts else ""


def _function(site: Site, value: str) -> str:
    return site.function("value", "float", ELEMENT, f"{UNUSED} return {value};")


def _map(site: Site, name: str) -> str:
    return f"(struct map){map_of(site.batch(name), dims_of(site.layer.shape))}"
