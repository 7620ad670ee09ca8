"""Operands as C functions: each node of an operand's tree becomes one that makes an element of it."""

from collections.abc import Callable, Mapping

from blockwise.firmware.emit.floats.indices import value_of
from blockwise.firmware.emit.floats.moved import Moved
from blockwise.firmware.emit.floats.places import (
    channels_of_filter,
    input_shapes,
    no_form,
    source_shape,
)
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import Dims, dims_of, map_of, number
from blockwise.firmware.emit.floats.weights import Weights, convolution, weights_of
from blockwise.firmware.float_facts import without_form
from blockwise.firmware.shapes import as_sides
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


class Operands(Moved):
    """The operands of one operation; ``begins`` has to be done before a channel's elements are made."""

    def __init__(self, site: Site, border: int = 0) -> None:
        super().__init__(site, border)
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
        read = f"(int32_t)code_at({site.bytes(operand.tensor)}, {tensor.bits}, {at})"
        code = f"(float)({_level(read, site.lowest(operand))})"
        return f"{code} * {site.number(site.size(operand.levels[0]))}" if operand.levels else code

    def _derived(self, operand: Derived, layer: Layer, dims: Dims) -> str:
        if isinstance(layer.op, View) and self._stays(operand, layer):
            return self._view(operand.inputs[0], dims)
        if layer.op.rearranges and not isinstance(layer.op, Slice):
            return self._rearranged(operand, layer)
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

    def spread(self, source: Operand, shape: tuple[int, ...], whole: tuple[int, ...]) -> str:
        """The function of an operand of which one value may stand for a whole row, column, map or pixel."""
        sides = zip("yxc", dims_of(shape), dims_of(whole), strict=True)
        at = ", ".join(i if mine == all_ else "0" for i, mine, all_ in sides)
        return self._function(f"{self.at(source, shape)}(held, b, {at})")

    def _spread(self, operand: Derived, layer: Layer) -> str:
        """A gradient that stands where the largest of each window stood."""
        op = layer.op
        assert isinstance(op, MaxPool)
        (ky, kx), (sy, sx) = as_sides(op.kernel), as_sides(op.stride)
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
        lowest = self.site.lowest(plain)
        at_once = not lowest and tensor.bits <= 4 and dims[2] % 8 == 0 and channels_of_filter(layer) % 8 == 0
        row = self.site.row(plain.tensor)
        at = f"element((struct map){map_of(self.site.batch(plain.tensor), dims)}, b, y, x, c)"
        read = "eight_codes" if at_once else "code_at"
        at = f"{row} + {at}" if row else at
        name = self.site.function(
            "codes",
            "uint32_t",
            "int b, int y, int x, int c",
            f"(void)b, (void)y, (void)x; "
            f"return {_level(f'{read}({self.site.bytes(plain.tensor)}, {tensor.bits}, {at})', lowest)};",
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
        elif isinstance(layer.op, BatchNorm) and not layer.op.tracks and self.site.operation.at_rest:
            raise without_form(
                f"layer {layer.name}", "a batch norm at rest without running statistics",
                "one that keeps them", "set track_running_stats=True, or use a group norm",
            )  # fmt: skip
        return self._affine(value, names["bias"], layer) if "bias" in names else value

    def _affine(self, value: str, pair: str, layer: Layer) -> str:
        found, count, which = self.site.floats(pair), dims_of(layer.shape)[2], "c"
        if isinstance(layer.op, FrozenNorm):
            count, which = layer.op.count, value_of(layer.shape, layer.op.sides)
        return f"{value} * ({found})[{which}] + ({found})[{count} + {which}]"


def _level(code: str, lowest: int) -> str:
    """What a code stands for: codes count from the lowest level."""
    return f"{code} - {-lowest}" if lowest else code
