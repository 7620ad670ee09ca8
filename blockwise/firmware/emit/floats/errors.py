"""Error gradients as kernels see them: a map of their own, or one element for each window of a max pool."""

import math
from dataclasses import dataclass

from blockwise.firmware.emit.floats.operands import Operands
from blockwise.firmware.emit.floats.places import input_shapes
from blockwise.firmware.emit.floats.pools import pool_of
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import dims_of, map_of
from devices.network import Layer
from devices.network.ops import MaxPool
from devices.program.operation import Derived, Operand, Stored


@dataclass(frozen=True)
class Windows:
    """The pool behind a layer: ``place`` says at which place of its window an element stands."""

    layer: Layer
    pool: str
    domain: str
    place: str
    gradient: str

    @classmethod
    def of(cls, site: Site, operands: Operands, operand: Derived, batch: int) -> "Windows":
        """Of a gradient that is read through the positions of a pool."""
        layer, (gradient, where) = site.schedule.layers[operand.layer], operand.inputs
        assert isinstance(where, Stored)
        domain = f"(struct map){map_of(batch, dims_of(layer.shape))}"
        bits = site.tensor(where.tensor).bits
        code = f"code_at({site.bytes(where.tensor)}, {bits}, element({domain}, b, i, j, c))"
        place = site.function("place", "int", "int b, int i, int j, int c", f"return (int){code};")
        return cls(layer, pool_of(site, layer, batch), domain, place, operands.at(gradient, layer.shape))


def _behind_pool(site: Site, operand: Operand) -> bool:
    return isinstance(operand, Derived) and isinstance(site.schedule.layers[operand.layer].op, MaxPool)


def _batch(site: Site, operand: Operand) -> int:
    while isinstance(operand, Derived):
        operand = operand.inputs[0]
    return site.batch(operand.tensor)


@dataclass(frozen=True)
class Errors:
    """The gradient of sums of products; ``few`` if it has one element for each window."""

    domain: str
    stands: str  # where an element stands in the layer's map
    gradient: str
    few: bool = False

    @classmethod
    def of(cls, site: Site, operands: Operands) -> "Errors":
        """Of the operation's operand."""
        operand, shape = site.needed("gradient"), site.layer.shape
        batch = _batch(site, operand)
        if not _behind_pool(site, operand):
            domain = f"(struct map){map_of(batch, dims_of(shape))}"
            return cls(domain, "stands_there", operands.at(operand, shape))
        assert isinstance(operand, Derived)
        found = Windows.of(site, operands, operand, batch)
        body = f"return spot_in_map({found.pool}, i, j, {found.place}(b, i, j, c));"
        stands = site.function("stands", "struct spot", "int b, int i, int j, int c", body)
        return cls(found.domain, stands, found.gradient, few=True)


@dataclass(frozen=True)
class Back:
    """Where a gradient is taken element by element: its own map, or the windows of a pool behind it."""

    domain: str
    places: int  # of a window
    spot: str  # where they lie in the layer's map
    place: str  # at which of them an element stands
    gradient: str
    target: str | None
    operands: Operands

    @classmethod
    def of(cls, site: Site) -> "Back":
        """Of an operation that goes back in place."""
        operand, layer, target = site.needed("gradient"), site.layer, site.result("input gradient")
        operands, batch = Operands(site), _batch(site, operand)
        if not _stays_small(site, operand, target):
            at, domain = (
                operands.at(operand, layer.shape),
                f"(struct map){map_of(batch, dims_of(layer.shape))}",
            )
            return cls(domain, 1, "own_spot", "only_place", at, target, operands)
        assert isinstance(operand, Derived)
        found = Windows.of(site, operands, operand, batch)
        where = "spot_in_map" if _is_within(site, found.layer) else "nearest_spot_in_map"
        body = f"return {where}({found.pool}, i, j, k);"
        spot = site.function("spot", "struct spot", "int i, int j, int k", body)
        return cls(found.domain, found.layer.window, spot, found.place, found.gradient, target, operands)

    @property
    def windows(self) -> str:
        """The first arguments of kernels that go back."""
        return f"{self.domain}, {self.places}, {self.spot}, {self.place}"


def _is_within(site: Site, layer: Layer) -> bool:
    """Whether no window of a pool reaches beyond the map, as the last ones of a rounded up size may."""
    op, (shape,) = layer.op, input_shapes(site, layer)
    assert isinstance(op, MaxPool)
    sides = zip(layer.shape[1:], shape[1:], op.kernel, op.stride, strict=True)
    return all((out - 1) * step + side <= size for out, size, side, step in sides)


def _stays_small(site: Site, operand: Operand, target: str | None) -> bool:
    """Whether a gradient is read through a pool's positions, and only what stands there is written."""
    if not _behind_pool(site, operand):
        return False
    whole = math.prod(site.layer.shape)
    return target is None or site.tensor(target).elements < site.tensor(target).shape[0] * whole
