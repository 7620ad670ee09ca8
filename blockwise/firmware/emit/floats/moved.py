"""Operands whose elements stand elsewhere in others: parts, views, borders, and maps side by side."""

import re
from abc import ABC, abstractmethod

from blockwise.firmware.emit.floats import indices
from blockwise.firmware.emit.floats.places import border_before, input_shapes, no_form, places_of, starts_of
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import Dims, dims_of
from blockwise.firmware.float_facts import without_form
from blockwise.firmware.shapes import MAP, lies_as
from devices.network import Layer
from devices.network.ops import Cat, Pad, Shortcut, Slice
from devices.program.operation import Derived, Operand, Stored

VARIES = re.compile(r"\b[yx]\b")
"""A row or a column in an expression."""


class Moved(ABC):
    """``border`` is what stands around a map: the code of zero, where codes themselves are read."""

    def __init__(self, site: Site, border: int = 0) -> None:
        self.site, self.border = site, border
        self._begins: list[str] = []  # what unpacks the filters of a channel

    @abstractmethod
    def at(self, operand: Operand, shape: tuple[int, ...]) -> str:
        """The name of the function of an operand that is seen in ``shape``, without the batch."""

    @abstractmethod
    def _stored(self, operand: Stored, dims: Dims) -> str:
        """An element of a tensor."""

    def _part(self, operand: Derived, layer: Layer) -> str:
        """Of a map an element that stands elsewhere in it."""
        (shape,), before = input_shapes(self.site, layer), len(self._begins)
        at = places_of(self.site, layer)
        inner = self.at(operand.inputs[0], shape)
        self._begin_at(at["c"], before)
        return f"{inner}(held, b, {', '.join(at.values())})"

    def _shape(self, operand: Operand) -> tuple[int, ...]:
        if isinstance(operand, Stored):
            return self.site.tensor(operand.tensor).shape[1:]
        return self.site.schedule.layers[operand.layer].shape

    def _view(self, source: Operand, dims: Dims) -> str:
        shape = self._shape(source)
        before = dims_of(shape)
        if isinstance(source, Stored):
            return self._stored(source, dims)
        if before == dims:
            return f"{self.at(source, shape)}(held, b, y, x, c)"
        _, width, channels = before  # a flattened map lies as the map does
        flat = f"(y * {dims[1]} + x) * {dims[2]} + c" if dims[:2] != (1, 1) else "c"
        y, x = f"({flat}) / {width * channels}", f"({flat}) / {channels} % {width}"
        return self._element(source, shape, y, x, f"({flat}) % {channels}")

    def _stays(self, operand: Derived, layer: Layer) -> bool:
        """Whether a view leaves a map as it lies."""
        shape = self._shape(operand.inputs[0])
        return max(len(shape), len(layer.shape)) <= MAP and lies_as(shape, layer.shape)

    def _rearranged(self, operand: Operand, layer: Layer) -> str:
        """Behind views and permutations, of however many dimensions, an element that stands elsewhere."""
        index = indices.index_of(layer.shape)
        shape: tuple[int, ...] = layer.shape
        while isinstance(operand, Derived) and (op := self._layer(operand).op).rearranges:
            if isinstance(op, Slice) and len(shape) <= MAP:
                break
            (operand,) = operand.inputs
            shape = self._shape(operand)
            index = indices.before(op, index, shape)
        return self._element(operand, shape, *indices.place(index))

    def _element(self, operand: Operand, shape: tuple[int, ...], y: str, x: str, channel: str) -> str:
        """One that stands elsewhere: what begins with a channel begins with its own, not the reader's."""
        ends = len(self._begins)
        inner = self.at(operand, shape)
        first = self._begin_at(channel, ends)
        return f"({first}{inner}(held, b, {y}, {x}, {channel}))"

    def _begin_at(self, channel: str, first: int) -> str:
        """Filters from ``first`` on begin with a channel of theirs: each time, if that hangs on the place."""
        mine, self._begins[first:] = self._begins[first:], []
        if VARIES.search(channel):
            return "".join(f"{begins}(held, {channel}), " for begins in mine)
        for begins in mine:
            body = f"{begins}(held, {channel});"
            self._begins.append(self.site.function("begin", "void", "const float *held, int c", body))
        return ""

    def _layer(self, operand: Derived) -> Layer:
        return self.site.schedule.layers[operand.layer]

    def _shortcut(self, operand: Derived, layer: Layer) -> str:
        op, (source,) = layer.op, operand.inputs
        assert isinstance(op, Shortcut)
        shape, before = self._shape(source), len(self._begins)
        inner = self.at(source, shape)
        if len(self._begins) > before:
            raise without_form(
                "shortcut",
                "a shortcut that reads sums of products",
                "one that reads codes",
                "use another network",
            )
        behind, first = f"y * {op.stride}, x * {op.stride}", op.channels_before
        if not (op.channels_before or op.channels_behind):
            return f"{inner}(held, b, {behind}, c)"
        kept = f"(unsigned)(c - {first}) < {shape[0]}u"
        return f"{kept} ? {inner}(held, b, {behind}, c - {first}) : 0.0f"

    def _joined(self, operand: Derived, layer: Layer) -> str:
        """Of tensors side by side that which has the channel."""
        if layer.op != Cat(1):
            raise no_form(layer)
        shapes, starts = input_shapes(self.site, layer), starts_of(self.site, layer)
        found, behind = "", 0
        for source, shape, first in reversed(list(zip(operand.inputs, shapes, starts, strict=True))):
            before = len(self._begins)
            value = f"{self.at(source, shape)}(held, b, y, x, c - {first})"
            self._begins[before:] = [self._from(x, first, shape[0]) for x in self._begins[before:]]
            found = f"c < {behind} ? {value} : ({found})" if found else value
            behind = first
        return found

    def _from(self, begins: str, first: int, count: int) -> str:
        """What has to be done before channels of one of several tensors side by side."""
        body = f"if ((unsigned)(c - {first}) < {count}u) {begins}(held, c - {first});"
        return self.site.function("begin", "void", "const float *held, int c", body)

    def _bordered(self, operand: Derived, layer: Layer) -> str:
        """Zero outside of a map."""
        op, (source,) = layer.op, operand.inputs
        assert isinstance(op, Pad)
        if op.mode != "constant":
            raise no_form(layer)
        shape, before = self._shape(source), len(self._begins)
        start, sides = border_before(op, shape), dict(zip("yxc", dims_of(shape), strict=True))
        axes = "yxc" if start["c"] or dims_of(layer.shape)[2] > sides["c"] else "yx"
        inside = " && ".join(f"(unsigned)({axis} - {start[axis]}) < {sides[axis]}u" for axis in axes)
        at = ", ".join(f"{axis} - {start[axis]}" if axis in axes else axis for axis in "yxc")
        inner = self.at(source, shape)
        if "c" in axes:
            self._begins[before:] = [self._from(x, start["c"], sides["c"]) for x in self._begins[before:]]
        return f"{inside} ? {inner}(held, b, {at}) : {self.border}.0f"
