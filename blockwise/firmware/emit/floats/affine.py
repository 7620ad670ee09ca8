"""Trained factors and summands of channels: the layer scale of a residual block."""

from blockwise.firmware.emit.floats.indices import value_of
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
    where = _map(site, target or site.stored("gradient") or "")
    if found is not None and factor:
        source = operands.at(site.needed("saved input"), shape)
        product = _function(site, f"{gradient}(held, b, y, x, c) * {source}(held, b, y, x, c)")
        lines += _sums(site, where, product, site.floats(found))
    if found is not None and summand:
        lines += _sums(site, where, gradient, f"{site.floats(found)} + {_op(site).count if factor else 0}")
    if target is not None:
        through = _function(site, f"{gradient}(held, b, y, x, c) * {factor or '1.0f'}")
        lines.append(put_map(site, where, target, through))
    return lines


def _sums(site: Site, where: str, value: str, to: str) -> Lines:
    """Of a value over all places for which each factor or summand stands."""
    op = _op(site)
    if not op.sides:
        return [call("bias_gradient", where, value, "held", to)]
    body = f"(void)b, (void)y, (void)x, (void)c; return {_which(site)};"
    place = site.function("which", "int", "int b, int y, int x, int c", body)
    return [
        call("fill_floats", to, op.count, "0.0f"), call("add_part", where, place, value, "held", to)
    ]  # fmt: skip


def _parts(site: Site) -> tuple[str, str]:
    """Factor and summand of an element; "" for what is not there."""
    op, found, at = _op(site), f"({site.floats(site.stored('bias'))})", _which(site)
    return (
        f"{found}[{at}]" if op.scales else "",
        f"{found}[{op.count * op.scales} + {at}]" if op.shifts else "",
    )


def _which(site: Site) -> str:
    """Of the factors, which lie as PyTorch has them, that of element (y, x, c)."""
    return value_of(site.layer.shape, _op(site).sides)


def _op(site: Site) -> Affine:
    op = site.layer.op
    assert isinstance(op, Affine)
    return op


def _function(site: Site, value: str) -> str:
    return site.function("value", "float", ELEMENT, f"{UNUSED} return {value};")


def _map(site: Site, name: str) -> str:
    return f"(struct map){map_of(site.batch(name), dims_of(site.layer.shape))}"
