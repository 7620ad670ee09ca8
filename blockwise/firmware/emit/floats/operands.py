"""Operands as C functions: each node of an operand's tree becomes one that makes an element of it."""

from collections.abc import Callable, Mapping

from blockwise.firmware.emit.floats.places import (
    channels_of_filter,
    input_shapes,
    no_form,
    places_of,
    source_shape,
    starts_of,
)
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import Dims, dims_of, map_of, number
from blockwise.firmware.emit.floats.weights import Weights, convolution, weights_of
from blockwise.firmware.float_facts import without_form
from devices.network import IMAGES, Layer
from devices.network.ops import (
    Add,
    BatchNorm,
    Cat,
    FrozenNorm,
    MaxPool,
    Mul,
    Op,
    Pad,
    Scale,
    ShiftedNorm,
    Shortcut,
    Slice,
    View,
)
from devices.program.operation import Derived, Operand, Stored
from devices.program.values import with_roles

ELEMENT = "const float *held, int b, int y, int x, int c"
UNUSED = "(void)held, (void)b, (void)y, (void)x, (void)c;"


class Operands:
    """The operands of one operation; ``begins`` has to be done before a channel's elements are made."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._begins: list[str] = []
        self._scratch = list(site.operation.scratch)

    @property
    def by_channel(self) -> bool:
        """Whether elements are sums of products: all of a channel are then made behind its filter."""
        return bool(self._begins)

    @property
    def begins(self) -> str:
        """The function that unpacks the filters of a channel."""
        if not self._begins:
            return "nothing_begins"
        body = " ".join(f"{name}(held, c);" for name in self._begins)
        return self.site.function("channel", "void", "const float *held, int c", body)

    def at(self, operand: Operand, shape: tuple[int, ...]) -> str:
        """The name of the function; ``shape`` is the one in which the operand is seen, without the batch."""
        if isinstance(operand, Stored):
            return self._function(self._stored(operand, dims_of(shape)))
        layer = self.site.schedule.layers[operand.layer]
        return self._function(self._derived(operand, layer, dims_of(shape)))

    def _function(self, value: str) -> str:
        return self.site.function("operand", "float", ELEMENT, f"{UNUSED} return {value};")

    def _stored(self, operand: Stored, dims: Dims) -> str:
        site = self.site
        tensor, row = site.tensor(operand.tensor), site.row(operand.tensor)
        at = f"element((struct map){map_of(site.batch(operand.tensor), dims)}, b, y, x, c)"
        at = f"{row} + {at}" if row else at
        if operand.maker == IMAGES:
            of = "c" if dims[2] == tensor.shape[1] else f"c % {tensor.shape[1]}"  # where images are flattened
            return f"(float)({site.bytes(operand.tensor)})[{at}] * pixel_scale[{of}] + pixel_shift[{of}]"
        if tensor.bits == 32:
            return f"((const float *)({site.address(operand.tensor)}))[{at}]"
        code = f"(float)(int32_t)code_at({site.bytes(operand.tensor)}, {tensor.bits}, {at})"
        return f"{code} * {site.number(site.size(operand.levels[0]))}" if operand.levels else code

    def _derived(self, operand: Derived, layer: Layer, dims: Dims) -> str:
        if isinstance(layer.op, View):
            return self._view(operand.inputs[0], dims)
        if layer.op.accumulates:
            return self._sums(operand, layer)
        if layer.op.normalises:
            return self._normalised(operand, layer)
        make = self._made.get(type(layer.op))
        if make is None:
            raise no_form(layer)
        return make(operand, layer)

    @property
    def _made(self) -> Mapping[type[Op], Callable[[Derived, Layer], str]]:
        return {
            Add: self._added,
            Cat: self._joined,
            MaxPool: self._spread,
            Mul: self._product,
            Pad: self._bordered,
            Scale: self._scaled,
            Shortcut: self._shortcut,
            Slice: self._part,
        }

    def _added(self, operand: Derived, layer: Layer) -> str:
        return " + ".join(f"{self.at(x, layer.shape)}(held, b, y, x, c)" for x in operand.inputs)

    def _product(self, operand: Derived, layer: Layer) -> str:
        pairs = zip(operand.inputs, input_shapes(self.site, layer), strict=True)
        factors = (self.spread(x, shape, layer.shape) for x, shape in pairs)
        return " * ".join(f"{name}(held, b, y, x, c)" for name in factors)

    def _scaled(self, operand: Derived, layer: Layer) -> str:
        op = layer.op
        assert isinstance(op, Scale)
        value = f"{self.at(operand.inputs[0], layer.shape)}(held, b, y, x, c)"
        return f"{value} * {number(op.factor)} + {number(op.shift)}"

    def _part(self, operand: Derived, layer: Layer) -> str:
        """Of a map an element that stands elsewhere in it."""
        (shape,), before = input_shapes(self.site, layer), len(self._begins)
        at = places_of(self.site, layer)
        inner = self.at(operand.inputs[0], shape)
        for i, begins in enumerate(self._begins[before:], before):
            body = f"{begins}(held, {at['c']});"
            self._begins[i] = self.site.function("begin", "void", "const float *held, int c", body)
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
        return f"{self.at(source, shape)}(held, b, {y}, {x}, ({flat}) % {channels})"

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
        left, _, top, _ = (*op.amounts, 0, 0)[:4]
        height, width, _ = dims_of(self._shape(source))
        inside = f"(unsigned)(y - {top}) < {height}u && (unsigned)(x - {left}) < {width}u"
        return f"{inside} ? {self.at(source, self._shape(source))}(held, b, y - {top}, x - {left}, c) : 0.0f"

    def spread(self, source: Operand, shape: tuple[int, ...], whole: tuple[int, ...]) -> str:
        """The function of an operand of which one value may stand for a whole row, column, map or pixel."""
        sides = zip("yxc", dims_of(shape), dims_of(whole), strict=True)
        at = ", ".join(i if mine == all_ else "0" for i, mine, all_ in sides)
        return self._function(f"{self.at(source, shape)}(held, b, {at})")

    def _spread(self, operand: Derived, layer: Layer) -> str:
        """A gradient that stands where the largest of each window stood."""
        op = layer.op
        assert isinstance(op, MaxPool)
        (ky, kx), (sy, sx) = op.kernel, op.stride
        gradient, where = operand.inputs
        assert isinstance(where, Stored)
        rows, columns, _ = out = dims_of(layer.shape)
        whole = map_of(self.site.batch(where.tensor), out)
        at = f"element((struct map){whole}, b, y / {sy}, x / {sx}, c)"
        found = f"(int)code_at({self.site.bytes(where.tensor)}, {self.site.tensor(where.tensor).bits}, {at})"
        inside = f"y / {sy} < {rows} && x / {sx} < {columns} && y % {sy} < {ky} && x % {sx} < {kx}"
        here = f"{found} == y % {sy} * {kx} + x % {sx}"
        value = f"{self.at(gradient, layer.shape)}(held, b, y / {sy}, x / {sx}, c)"
        return f"{inside} && {here} ? {value} : 0.0f"

    def _sums(self, operand: Derived, layer: Layer) -> str:
        """Of a layer at rest: its reader takes each sum when it is complete."""
        names = {role: x.tensor for role, x in with_roles(layer, operand.parameters) if isinstance(x, Stored)}
        (source,) = operand.inputs
        scratch = next((s for s in self._scratch if s.startswith(f"{layer.name}.filter")), None)
        weights = weights_of(self.site, layer, names, scratch)
        if weights.begins:
            self._begins.append(weights.begins)
        bias = f" + ({self.site.floats(names['bias'])})[c]" if "bias" in names else ""
        return f"{self.product(layer, source, weights)}{bias}"

    def product(self, layer: Layer, source: Operand, weights: Weights) -> str:
        """One output of a layer with weights: an expression of b, y, x and c."""
        geometry = convolution(self.site, layer, 1)
        codes = self.codes(source, layer, weights)
        if codes is not None:
            name, bits, step = codes
            scale = self.site.number(f"{weights.scale} * {step}")
            return f"(float)sum_of_codes({geometry}, {name}, {bits}, {weights.level}, b, y, x, c) * {scale}"
        inner = self.at(source, source_shape(self.site, layer))
        found = f"sum_of_floats({geometry}, {inner}, {weights.weight}, held, b, y, x, c)"
        return found if weights.level is None else f"{found} * {self.site.number(weights.scale)}"

    def codes(self, source: Operand, layer: Layer, weights: Weights | None) -> tuple[str, int, str] | None:
        """Codes as integers, where they are summed so: function, bits if eight come at once, else 0, step.

        ``weights`` are those that they are multiplied with, if they are codes too.
        """
        plain = source
        while isinstance(plain, Derived) and isinstance(self.site.schedule.layers[plain.layer].op, View):
            plain = plain.inputs[0]
        if not isinstance(plain, Stored) or plain.maker in ("", IMAGES) or not plain.levels:
            return None
        tensor, dims = self.site.tensor(plain.tensor), dims_of(source_shape(self.site, layer))
        if weights is not None and not weights.exact_with(tensor.bits, layer.filter_size):
            return None
        at_once = tensor.bits <= 4 and dims[2] % 8 == 0 and channels_of_filter(layer) % 8 == 0
        row = self.site.row(plain.tensor)
        at = f"element((struct map){map_of(self.site.batch(plain.tensor), dims)}, b, y, x, c)"
        read = "eight_codes" if at_once else "code_at"
        at = f"{row} + {at}" if row else at
        name = self.site.function(
            "codes",
            "uint32_t",
            "int b, int y, int x, int c",
            f"(void)b, (void)y, (void)x; "
            f"return {read}({self.site.bytes(plain.tensor)}, {tensor.bits}, {at});",
        )
        return name, tensor.bits if at_once else 0, self.site.size(plain.levels[0])

    def _normalised(self, operand: Derived, layer: Layer) -> str:
        """Scale and shift by the reader; of a layer at rest all that it does."""
        names = {role: x.tensor for role, x in with_roles(layer, operand.parameters) if isinstance(x, Stored)}
        value = f"{self.at(operand.inputs[0], layer.shape)}(held, b, y, x, c)"
        if "folded" in names:
            return self._affine(value, names["folded"], layer)
        if isinstance(layer.op, ShiftedNorm):
            scales, shifts = (self.site.floats(names[role]) for role in ("running", "bias"))
            return f"{value} * ({scales})[c] + ({shifts})[c]"
        if isinstance(layer.op, FrozenNorm):
            return self._affine(value, names["running"], layer)
        if "running" in names:
            assert isinstance(layer.op, BatchNorm)
            running = self.site.floats(names["running"])
            variance = f"({running})[{layer.op.channels} + c] + {number(layer.op.eps)}"
            value = f"({value} - ({running})[c]) * inverse_root({variance})"
        return self._affine(value, names["bias"], layer) if "bias" in names else value

    def _affine(self, value: str, pair: str, layer: Layer) -> str:
        found, channels = self.site.floats(pair), dims_of(layer.shape)[2]
        return f"{value} * ({found})[c] + ({found})[{channels} + c]"
