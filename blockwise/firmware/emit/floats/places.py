"""What a layer reads and where: shapes of its inputs, parts of maps, and the line for what has no C form."""

from collections.abc import Sequence
from itertools import accumulate

from blockwise.firmware.emit.floats.order import is_flattened
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.float_facts import without_form
from devices.network import Layer
from devices.network.ops import Pad, Slice


def starts_of(site: Site, layer: Layer) -> list[int]:
    """The channel at which each of the tensors that stand side by side begins."""
    return list(accumulate((shape[0] for shape in input_shapes(site, layer)), initial=0))[:-1]


def places_of(site: Site, layer: Layer) -> dict[str, str]:
    """Row, column and channel of the map at which element (y, x, c) of a part of it stands."""
    op = layer.op
    assert isinstance(op, Slice)
    axes = {1: ("c",), 2: ("c", "x"), 3: ("c", "y", "x")}[len(layer.shape)]
    if axes == ("c",) and is_flattened(site.schedule, layer.inputs[0]):
        raise without_form(
            f"layer {layer.name}", "a part of a flattened map", "parts of maps, or of features",
            "take the part of the map, and flatten it",
        )  # fmt: skip
    of_axis = dict(zip(axes, zip(op.starts, op.steps, strict=True), strict=True))
    places = {axis: of_axis.get(axis, (0, 1)) for axis in "yxc"}
    return {axis: f"{start} + {step} * {axis}" for axis, (start, step) in places.items()}


def input_shapes(site: Site, layer: Layer) -> list[tuple[int, ...]]:
    """Of all that a layer reads, without the batch."""
    layers = site.schedule.layers
    return [
        layers[name].shape if name in layers else site.tensor("batch.images").shape[1:]
        for name in layer.inputs
    ]


def border_before(op: Pad, shape: Sequence[int]) -> dict[str, int]:
    """Rows, columns and channels of a border before a map of ``shape``; what it cuts off is less than 0."""
    axes = {1: "c", 2: "xc", 3: "xyc"}[len(shape)]
    return dict.fromkeys("yxc", 0) | dict(zip(axes, op.amounts[::2], strict=False))


def source_shape(site: Site, layer: Layer) -> tuple[int, ...]:
    """The shape in which a layer sees its input, without the batch."""
    op = layer.op
    if layer.kind == "linear":
        return (op.in_features,)  # type: ignore[attr-defined]
    source = site.schedule.layers.get(layer.inputs[0])
    if source is not None:
        return source.shape
    return next(t.shape[1:] for name, t in site.schedule.tensors.items() if name == "batch.images")


def channels_of_filter(layer: Layer) -> int:
    """Channels that a filter sees."""
    return layer.filter_size // layer.kernel


def no_form(layer: Layer) -> Exception:
    """The line for an operation without a C form."""
    return without_form(
        f"layer {layer.name}",
        f"the operation {layer.op.words}",
        "layers that have one",
        "use another network, head or norm",
    )
