"""Pools, sums and shortcuts that are stored, and their gradients."""

import math
from dataclasses import replace

from blockwise.firmware.emit.floats.operands import Operands
from blockwise.firmware.emit.floats.places import source_shape
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import call, dims_of, map_of
from blockwise.firmware.float_facts import without_form
from blockwise.firmware.shapes import as_sides
from devices.network import Layer
from devices.network.ops import AdaptiveAvgPool, AvgPool, MaxPool, Shortcut, View
from devices.program.execute.memory import WORD_BITS
from devices.program.operation import Derived, Operand, Stored

Lines = list[str]
ADAPTIVE = 2
"""As in c/floats/pools.h; else whether padding counts."""


def pool_of(site: Site, layer: Layer, batch: int) -> str:
    """``struct pool`` of a layer."""
    op, inside = layer.op, dims_of(source_shape(site, layer))
    geometry = (0,) * 6
    if isinstance(op, MaxPool) and set(op.dilation) != {1}:
        raise without_form(
            f"layer {layer.name}", "a max pool with holes", "one without", "use another network"
        )
    if isinstance(op, MaxPool | AvgPool):
        geometry = (*as_sides(op.kernel), *as_sides(op.stride), *as_sides(op.padding, 0))
    numbers = ", ".join(map(str, geometry))
    return f"(struct pool){{{map_of(batch, inside)}, {map_of(batch, dims_of(layer.shape))}, {numbers}}}"


def max_forward(site: Site) -> Lines:
    """The largest of each window as it lies in memory, and where in the window it stood."""
    output, argmax, source = site.made("output"), site.result("argmax"), site.needed("input")
    pool, operands, bits = (
        pool_of(site, site.layer, site.batch(output)),
        Operands(site),
        site.tensor(output).bits,
    )
    in_codes = bits < WORD_BITS
    if in_codes:  # which are in the order of what they stand for
        source = _as_codes(site, source)
    at = operands.at(source, source_shape(site, site.layer))
    to, codes = ("0", site.bytes(output)) if in_codes else (site.floats(output), "0")
    places = site.tensor(argmax).bits if argmax else 0
    return [call("max_pool", pool, at, "held", to, codes, bits, site.bytes(argmax), places)]


def _as_codes(site: Site, source: Operand) -> Operand:
    """An operand whose elements are codes themselves. Raises InputError where these are of several steps."""
    if isinstance(source, Stored):
        return Stored(source.tensor)
    layer = site.schedule.layers[source.layer]
    if len(source.inputs) > 1 or not (isinstance(layer.op, View) or layer.op.rearranges):
        raise without_form(
            f"layer {site.layer.name}", f"a max pool of codes behind {layer.op.words}",
            "a pool of codes as they lie", "pool before it, or put an activation between",
        )  # fmt: skip
    return replace(source, inputs=tuple(_as_codes(site, x) for x in source.inputs))


def max_backward(site: Site) -> Lines:
    """To where the largest stood."""
    target, argmax = site.made("input gradient"), site.stored("saved argmax")
    assert argmax is not None
    pool = pool_of(site, site.layer, site.batch(target))
    gradient, bits = site.floats(site.stored("gradient")), site.tensor(argmax).bits
    return [
        *cleared(site, target),
        call("add_max_pool_gradient", pool, gradient, site.bytes(argmax), bits, site.floats(target)),
    ]


def mean_forward(site: Site) -> Lines:
    """Means over windows."""
    output = site.made("output")
    pool, shape = (
        pool_of(site, site.layer, site.batch(output)),
        source_shape(site, site.layer),
    )
    at = Operands(site).at(site.needed("input"), shape)
    return [call("mean_pool", pool, _kind(site.layer), at, "held", site.floats(output))]


def mean_backward(site: Site) -> Lines:
    """Each value of a window has its share."""
    target = site.made("input gradient")
    pool = pool_of(site, site.layer, site.batch(target))
    gradient = site.floats(site.stored("gradient"))
    return [
        *cleared(site, target),
        call("add_mean_pool_gradient", pool, _kind(site.layer), gradient, site.floats(target)),
    ]


def _kind(layer: Layer) -> int:
    op = layer.op
    return ADAPTIVE if isinstance(op, AdaptiveAvgPool) else int(isinstance(op, AvgPool) and op.counts_padding)


def stored(site: Site) -> Lines:
    """A sum or a shortcut that has to lie in memory."""
    output, operands = site.made("output"), Operands(site)
    inputs = tuple(x for role, x in site.operation.operands if role == "input")
    at = operands.at(Derived(site.layer.name, inputs), site.layer.shape)
    where = f"(struct map){map_of(site.batch(output), dims_of(site.layer.shape))}"
    return [call("store_map", where, at, operands.begins, "held", site.floats(output))]


def shortcut_backward(site: Site) -> Lines:
    """To every pixel that was taken."""
    target, op = site.made("input gradient"), site.layer.op
    assert isinstance(op, Shortcut)
    batch, shape = site.batch(target), source_shape(site, site.layer)
    inside, outside = (f"(struct map){map_of(batch, dims_of(s))}" for s in (shape, site.layer.shape))
    gradient = site.floats(site.stored("gradient"))
    return [
        *cleared(site, target),
        call(
            "add_shortcut_gradient",
            inside,
            outside,
            op.stride,
            op.channels_before,
            gradient,
            site.floats(target),
        ),
    ]


def cleared(site: Site, target: str) -> Lines:
    """Zeros to add to, unless there is something already."""
    if target in site.operation.adds:
        return []
    return [call("fill_floats", site.floats(target), math.prod(site.tensor(target).shape), "0.0f")]
