"""Parts of maps, maps side by side, and dimensions in another order, as modules."""

from itertools import accumulate
from typing import Any

import torch
from torch import fx, nn

from blockwise.models.editing import Editing, Shape, argument, known, name_of
from blockwise.models.reshaping import Permute, Reshape, Slice

PERMUTES = ("permute", "transpose", "movedim", "moveaxis", "swapaxes", "swapdims")
DIVIDES = ("chunk", "split", "tensor_split", "split_with_sizes", "unsafe_chunk", "unsafe_split")
"""Of whose results each is a part of the map."""
SIDES = (2, 3, 5, 7, 11, 13)


def order_of(node: fx.Node) -> tuple[int, ...] | None:
    """The dimensions of a transposed map in terms of those of its source; None for another function."""
    called, source = name_of(node), node.all_input_nodes[0] if node.all_input_nodes else None
    if called == "getattr" and node.args[1] == "mT" and node.meta["shape"] is not None:
        *before, row, column = range(len(node.meta["shape"]) + 1)
        return (*before, column, row)
    if called not in PERMUTES or source is None or source.meta["shape"] is None:
        return None
    sample = torch.empty(SIDES[: len(source.meta["shape"]) + 1])
    _, *args = known(node.args) if node.args else (None,)
    options = {key: value for key, value in known(node.kwargs).items() if key != "input"}
    made = getattr(sample, called)(*args, **options)
    return tuple(SIDES.index(side) for side in made.shape)


def permuted(editing: Editing, node: fx.Node, order: tuple[int, ...]) -> nn.Module:
    """The module; nothing but batches stands first."""
    if order[0] != 0:
        raise editing.refused(node, "a transposition of the batch")
    return nn.Identity() if order == tuple(range(len(order))) else Permute(order)


def indexed(editing: Editing, node: fx.Node) -> nn.Module:
    """``x[:, a:b]``, also of several dimensions, with strides, and of single channels."""
    source, index = node.args
    assert isinstance(source, fx.Node)
    if source.meta.get("parts") is not None:
        (dim, pieces), whole = source.meta["parts"], source.all_input_nodes[0].meta["shape"]
        start, size = pieces[known(index)]
        return _slice(whole, {dim: (start, size, 1)})
    return _by_index(editing, node, source.meta["shape"], known(index))


def _by_index(editing: Editing, node: fx.Node, whole: Shape, index: Any) -> nn.Module:
    asked = list(index) if isinstance(index, tuple) else [index]
    given = asked[:1] + [item for item in asked[1:] if item is not None]  # a dimension of one place more
    if Ellipsis in given:
        at = given.index(Ellipsis)
        given[at : at + 1] = [slice(None)] * (len(whole) + 2 - len(given))
    if len(given) > len(whole) + 1 or not all(isinstance(i, int | slice) for i in given):
        raise editing.refused(node, "a part of a map by something else than numbers")
    if given[0] != slice(None):
        raise editing.refused(node, "a part of a batch")
    parts = {}
    for dim, item in enumerate(given[1:], 1):
        size = whole[dim - 1]
        start, stop, step = (
            item.indices(size) if isinstance(item, slice) else (item % size, item % size + 1, 1)
        )
        parts[dim] = start, len(range(start, stop, step)), step
    part, made = _slice(whole, parts), tuple(node.meta["shape"])
    if None in asked:
        return nn.Sequential(part, Reshape(made))
    return shaped(part, whole, made)


def shuffled(node: fx.Node) -> nn.Module | None:
    """Shuffles of channels, and places that become channels or come from them; None for others."""
    called, whole, made = name_of(node), node.all_input_nodes[0].meta["shape"], tuple(node.meta["shape"])
    channels, *space = whole
    if called in ("channel_shuffle", "native_channel_shuffle"):
        groups = int(known(argument(node, "groups", 1)))
        order = (0, 2, 1, *range(3, len(space) + 3))
        return nn.Sequential(Reshape((groups, channels // groups, *space)), Permute(order), Reshape(made))
    if called not in ("pixel_shuffle", "pixel_unshuffle") or len(space) != 2:
        return None
    if called == "pixel_shuffle":
        (height, width), side = space, made[1] // space[0]
        apart, order = (made[0], side, side, height, width), (0, 1, 4, 2, 5, 3)
    else:
        (_, height, width), side = made, space[0] // made[1]
        apart, order = (channels, height, side, width, side), (0, 1, 3, 5, 2, 4)
    return nn.Sequential(Reshape(apart), Permute(order), Reshape(made))


def narrowed(editing: Editing, node: fx.Node) -> nn.Module | None:
    """``x.narrow(dim, start, length)``, ``x.select(dim, index)`` and the slices of ATen; None for others."""
    whole = node.all_input_nodes[0].meta["shape"]
    dim, at = known(argument(node, "dim", 1, 0)), known(argument(node, "start", 2))
    if not isinstance(dim, int) or dim % (len(whole) + 1) == 0:
        return None
    dim, size = dim % (len(whole) + 1), whole[dim % (len(whole) + 1) - 1]
    if name_of(node) == "narrow":
        return _slice(whole, {dim: (at % size, int(known(argument(node, "length", 3))), 1)})
    index = int(known(argument(node, "index", 2))) % size
    return shaped(_slice(whole, {dim: (index, 1, 1)}), whole, node.meta["shape"])


def divided(editing: Editing, node: fx.Node) -> None:
    """Note where each part of a divided map lies, for those that take them."""
    whole = node.all_input_nodes[0].meta["shape"]
    dim = int(known(argument(node, "dim", 2, 0))) % (len(whole) + 1)
    if dim == 0:
        raise editing.refused(node, f"a division of the batch, by {name_of(node)!r}")
    sizes = [shape[dim - 1] for shape in node.meta["shapes"]]
    node.meta["parts"] = dim, list(zip(accumulate([0, *sizes]), sizes, strict=False))


def side_by_side(editing: Editing, node: fx.Node, maps: list[fx.Node], dim: int) -> None:
    """A concatenation along channels, or along ``dim``, which changes places with them and back."""
    if dim == 0:
        raise editing.refused(node, "a concatenation along dimension 0")
    if dim == 1:
        node.op, node.target, node.args, node.kwargs = "call_function", torch.cat, (maps,), {"dim": 1}
        return
    order = [*range(len(node.meta["shape"]) + 1)]
    order[1], order[dim] = dim, 1

    def swapped(source: fx.Node, shape: Shape) -> fx.Node:
        made = tuple(shape[at - 1] for at in order[1:])
        return editing.insert(node, Permute(tuple(order)), editing.path_of(node, "swap"), source, made)

    turned = [swapped(x, x.meta["shape"]) for x in maps]
    with editing.root.graph.inserting_before(node):
        joined = editing.root.graph.call_function(torch.cat, (turned,), {"dim": 1})
    editing.put(node, Permute(tuple(order)), editing.path_of(node, "swap"), joined)


def _slice(whole: Shape, parts: dict[int, tuple[int, int, int]]) -> nn.Module:
    found = [parts.get(dim, (0, size, 1)) for dim, size in enumerate(whole, 1)]
    starts, sizes, steps = zip(*found, strict=True)
    return nn.Identity() if sizes == tuple(whole) else Slice(starts, sizes, steps)


def shaped(module: nn.Module, whole: Shape, made: Shape) -> nn.Module:
    """A part of a map of ``whole``; single positions are taken out where the result has fewer dimensions."""
    if (module.sizes if isinstance(module, Slice) else whole) == tuple(made):
        return module
    return nn.Sequential(module, nn.Flatten() if len(made) == 1 else Reshape(tuple(made)))
