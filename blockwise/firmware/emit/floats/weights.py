"""The weights of a layer as C functions: floats as they lie, or one filter's codes at a time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from blockwise.firmware.emit.floats.shares import Share
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import dims_of, map_of
from blockwise.firmware.float_facts import Levels, without_form
from blockwise.firmware.shapes import as_sides
from devices.network import Layer
from devices.network.ops import Conv, Linear

WORD_BITS = 32
BYTE_BITS = 8


@dataclass(frozen=True)
class Weights:
    """``weight`` makes one as a float, ``level`` as the integer it stands for; ``scale`` is between them."""

    weight: str
    begins: str = ""  # what unpacks a filter
    level: str | None = None
    scale: str = "1.0f"
    levels: Levels | None = None

    @property
    def begin(self) -> str:
        """The function to call before a filter's weights are asked for."""
        return self.begins or "nothing_begins"

    def exact_with(self, bits: int, filter_size: int) -> bool:
        """Whether sums of products with codes of ``bits`` bits are exact in 32 bits."""
        if self.levels is None:
            return False
        largest = max(-self.levels.low, self.levels.high)
        return filter_size * largest * ((1 << bits) - 1) < 1 << (WORD_BITS - 1)


def weights_of(site: Site, layer: Layer, names: Mapping[str, str], scratch: str | None) -> Weights:
    """Of a layer whose tensors go by role: latent ("weight") or deployed ("codes"), each with a "step"."""
    size, levels = layer.filter_size, site.facts.quantizers.get(layer.name)
    if layer.is_shared:
        return _of_share(site, layer, names, scratch)
    tensor = names.get("codes") or names["weight"]
    if levels is None:
        body = f"(void)held; return ((const float *)({site.address(tensor)}))[filter * {size} + i];"
        return Weights(site.function("weight", "float", "const float *held, int filter, int i", body))
    width, room = _room(site, layer, levels, scratch)
    if "codes" in names:
        scale = f"*(const float *)({site.address(names['step'])})"
        packed = f"{site.bytes(tensor)}, {levels.bits}, c * {size}, {size}"
        found = f"unpack_filter{width}({room}, {range_of(levels)}, {packed});"
        begins = site.function("filter", "void", "const float *held, int c", f"(void)held; {found}")
    else:
        scale = site.size(names["step"])
        latent = f"(const float *)({site.address(tensor)}) + c * {size}"
        found = f"quantize_filter{width}({room}, {range_of(levels)}, {latent}, {size}, {site.number(scale)});"
        begins = site.function("filter", "void", "const float *held, int c", f"(void)held; {found}")
    return _of_filter(site, levels, room, begins, scale)


def _room(site: Site, layer: Layer, levels: Levels, scratch: str | None) -> tuple[int, str]:
    """Where the levels of one filter are, and of how many bits they are."""
    assert scratch is not None, f"{layer.name} has no room for a filter"
    width = BYTE_BITS if levels.bits <= BYTE_BITS else 2 * BYTE_BITS
    return width, f"(int{width}_t *)({site.address(scratch)})"


def _of_filter(site: Site, levels: Levels, room: str, begins: str, scale: str) -> Weights:
    """Of the filter that ``begins`` put into its room."""
    level = site.function("level", "int", "int i", f"return ({room})[i];")
    weight = site.function(
        "weight",
        "float",
        "const float *held, int filter, int i",
        f"(void)held, (void)filter; return (float)({room})[i];",
    )
    return Weights(weight, begins, level, scale, levels)


def _of_share(site: Site, layer: Layer, names: Mapping[str, str], scratch: str | None) -> Weights:
    """Of the channels that are trained floats or codes, of the others codes, all by the same step."""
    share, levels, rest = Share.of(site, layer), site.facts.quantizers.get(layer.name), names["rest"]
    taken = site.address(names.get("codes") or names["weight"])
    if levels is None:
        lie = f"(const float *)({taken}), (const float *)({site.address(rest)})"
        body = f"(void)held; return weight_of_share({share}, {lie}, filter, i);"
        return Weights(site.function("weight", "float", "const float *held, int filter, int i", body))
    width, room = _room(site, layer, levels, scratch)
    scale = site.size(names["step"])
    given, coded = f"{room}, {share}, {range_of(levels)}", f"{site.address(rest)}, {levels.bits}, c"
    found = f"(void)held; join_filter{width}({given}, {taken}, {coded});"
    if "codes" not in names:
        found = f"fill_filter{width}({given}, (const float *)({taken}), {site.number(scale)}, {coded});"
    begins = site.function("filter", "void", "const float *held, int c", found)
    return _of_filter(site, levels, room, begins, scale)


def range_of(levels: Levels) -> str:
    """``struct range``."""
    return f"(struct range){{{levels.low}, {levels.high}, {int(levels.binary)}}}"


def convolution(site: Site, layer: Layer, batch: int) -> str:
    """``struct convolution`` of a layer with weights; a linear one is of one pixel."""
    op = layer.op
    if isinstance(op, Linear):
        inside, outside = (1, 1, op.in_features), (1, 1, op.features)
        if math.prod(layer.shape[:-1]) != 1:
            raise without_form(
                f"layer {layer.name}",
                "a linear layer of several positions",
                "one that reads flat features",
                "use another network",
            )
        geometry: tuple[int, ...] = (1, 1, 1, 1, 0, 0, 1, 1, 1)
    else:
        assert isinstance(op, Conv)
        if len(op.kernel) > 2 or op.padding_mode != "zeros":
            found = f"a convolution of {len(op.kernel)} dimensions padded with {op.padding_mode}"
            wanted = "one or two dimensions padded with zeros"
            raise without_form(f"layer {layer.name}", found, wanted, "use another network")
        outside = (*dims_of(layer.shape)[:2], op.channels)
        inside = (*_input_dims(site, layer)[:2], op.in_channels)
        sides = (op.kernel, 1), (op.stride, 1), (op.padding, 0), (op.dilation, 1)
        geometry = (*(n for lengths, rows in sides for n in as_sides(lengths, rows)), op.groups)
    numbers = ", ".join(map(str, geometry))
    return f"(struct convolution){{{map_of(batch, inside)}, {map_of(batch, outside)}, {numbers}}}"


def _input_dims(site: Site, layer: Layer) -> tuple[int, int, int]:
    source = site.schedule.layers.get(layer.inputs[0])
    return dims_of(source.shape if source is not None else site.tensor("batch.images").shape[1:])
