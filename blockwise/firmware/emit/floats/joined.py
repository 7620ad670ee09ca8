"""Tensors side by side, parts, borders, products: what is stored going forward, and what goes back."""

from collections.abc import Iterator

from blockwise.firmware.emit.floats import indices, pools
from blockwise.firmware.emit.floats.operands import ELEMENT, Operands
from blockwise.firmware.emit.floats.places import border_before, input_shapes, no_form, starts_of
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import call, dims_of, map_of, number
from blockwise.firmware.shapes import MAP
from devices.network import IMAGES
from devices.network.ops import Pad, Scale, View
from devices.program.execute.memory import WORD_BITS
from devices.program.operation import Derived, Operand, Stored

Lines = list[str]


def pad_forward(site: Site) -> Lines:
    """A border that has to lie in memory; that of codes is of zeros, which stand for zero."""
    output, source = site.made("output"), site.needed("input")
    bits = site.tensor(output).bits
    if bits == WORD_BITS:
        return pools.stored(site)
    if not isinstance(source, Stored) or source.maker == IMAGES:
        raise no_form(site.layer)
    codes = Derived(site.layer.name, (Stored(source.tensor),))
    where = f"(struct map){map_of(site.batch(output), dims_of(site.layer.shape))}"
    at = Operands(site, -site.lowest(source)).at(codes, site.layer.shape)
    return [call("store_codes", where, bits, at, "held", site.bytes(output), 0)]


def part_backward(site: Site) -> Lines:
    """To each of those side by side its part; to what a border stands around all but the border."""
    gradient, lines = _gradient(site), list[str]()
    for index, target in targets_of(site):
        start = _start(site, index)
        at = ", ".join(f"{axis} + {first}" for axis, first in start.items())
        body = f"{gradient}(held, b, {at})"
        if isinstance(site.layer.op, Pad) and min(site.layer.op.amounts) < 0:  # what is cut off has none
            sides = zip(start.items(), dims_of(site.layer.shape), strict=True)
            inside = " && ".join(f"(unsigned)({axis} + {first}) < {side}u" for (axis, first), side in sides)
            body = f"{inside} ? {body} : 0.0f"
        function = site.function("part", "float", ELEMENT, f"return {body};")
        lines.append(_put(site, index, target, function))
    return lines


def rearranged_backward(site: Site) -> Lines:
    """The gradient of the whole map: that of a permutation or, with zeros elsewhere, of a part."""
    target, gradient = site.made("input gradient"), site.needed("gradient")
    (whole,), lies = input_shapes(site, site.layer), _lying(site, site.made("input gradient"))
    seen = _seen(site, gradient)
    index = indices.reshaped(indices.index_of(seen), site.layer.shape)
    index = indices.reshaped(indices.before(site.layer.op, index, whole), lies)
    batch = site.batch(target)
    maps = [f"(struct map){map_of(batch, dims_of(shape))}" for shape in (seen, lies)]
    y, x, c = indices.place(index)
    body = f"(void)y, (void)x, (void)c; return element({maps[1]}, b, {y}, {x}, {c});"
    place = site.function("place", "int", "int b, int y, int x, int c", body)
    read = Operands(site).at(gradient, seen)
    return [*pools.cleared(site, target), call("add_part", maps[0], place, read, "held", site.floats(target))]


def _seen(site: Site, gradient: Operand) -> tuple[int, ...]:
    """The shape of a map in which a gradient lies; a flat one lies as what was flattened."""
    lies = _lying(site, gradient.tensor) if isinstance(gradient, Stored) else site.layer.shape
    return lies if len(lies) > 1 else site.layer.shape


def _lying(site: Site, gradient: str) -> tuple[int, ...]:
    """That of the tensor or, of more dimensions than a map has, of the map that views made it of."""
    shape, name = site.tensor(gradient).shape[1:], gradient.removesuffix(".gradient")
    while len(shape) > MAP:
        layer = site.schedule.layers[name]
        if not isinstance(layer.op, View):
            raise no_form(layer)
        (shape,), (name,) = input_shapes(site, layer), layer.inputs
    return shape


def scale_backward(site: Site) -> Lines:
    """Times the factor."""
    target, op = site.made("input gradient"), site.layer.op
    assert isinstance(op, Scale)
    body = f"return {_gradient(site)}(held, b, y, x, c) * {number(op.factor)};"
    return [_put(site, 0, target, site.function("part", "float", ELEMENT, body))]


def product_backward(site: Site) -> Lines:
    """Of each factor: the gradient times the other, summed where one value stands for many."""
    factors = [operand for role, operand in site.operation.operands if role == "saved input"]
    shapes, gradient = input_shapes(site, site.layer), _gradient(site)
    operands, lines = Operands(site), list[str]()
    for index, target in targets_of(site):
        batch = site.batch(target)
        whole, mine = (f"(struct map){map_of(batch, dims_of(x))}" for x in (site.layer.shape, shapes[index]))
        other = operands.spread(factors[1 - index], shapes[1 - index], site.layer.shape)
        read = whole, mine, gradient, other, "held", int(target in site.operation.adds)
        lines.append(call("factor_gradient", *read, site.floats(target)))
    return lines


def targets_of(site: Site) -> Iterator[tuple[int, str]]:
    """The gradients that are made, each with the number of its input."""
    for role, name in site.operation.results:
        if role.startswith("input gradient"):
            yield int(role.removeprefix("input gradient") or 0), name


def _gradient(site: Site) -> str:
    return Operands(site).at(site.needed("gradient"), site.layer.shape)


def _start(site: Site, index: int) -> dict[str, int]:
    """Row, column and channel at which an input's part of the output begins."""
    op = site.layer.op
    if isinstance(op, Pad):
        return border_before(op, input_shapes(site, site.layer)[index])
    return {"y": 0, "x": 0, "c": starts_of(site, site.layer)[index]}


def _put(site: Site, index: int, target: str, function: str) -> str:
    """The gradient of an input."""
    dims = dims_of(input_shapes(site, site.layer)[index])
    return put_map(site, f"(struct map){map_of(site.batch(target), dims)}", target, function)


def put_map(site: Site, where: str, target: str, function: str) -> str:
    """Store a map, or add it to what is there."""
    if target in site.operation.adds:
        return call("add_map", where, function, "held", site.floats(target))
    return call("store_map", where, function, "nothing_begins", "held", site.floats(target))
