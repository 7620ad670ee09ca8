"""A run of a traced network's nodes as a unit of a chain: its name, and a module of one argument."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import takewhile

from torch import fx, nn

from blockwise.heads.place import stands_behind
from devices.network import Layer
from devices.network.ops import AdaptiveAvgPool, AvgPool, View

Path = list[str]

LAST_FEATURES = (AvgPool, AdaptiveAvgPool, View)
"""Layers with which a classifier begins."""


def begins_classifier(layer: Layer) -> bool:
    """Whether a layer without weights before the last layer belongs to the classifier."""
    return layer.op.drops or isinstance(layer.op, LAST_FEATURES)


def unit_name(part: Sequence[fx.Node], layers: Sequence[Layer], taken: Sequence[str]) -> str:
    """What the paths of the layers with weights have in common; with the kind, if that is a number."""
    paths = _weighted_paths(part, layers)
    found = "_".join(_shared(paths) or paths[0])
    if found.replace("_", "").isdecimal():
        found = f"{next(layer.kind for layer in layers if layer.weights)}_{found}"
    while found in taken or hasattr(nn.ModuleDict, found) or found == "classifier":
        found = f"{found}_"
    return found


def unit_module(
    part: Sequence[fx.Node], layers: Sequence[Layer], source: fx.Node, root: nn.Module
) -> nn.Module:
    """The nodes as a module of one argument: a row of layers, or a graph and what stands behind it."""
    row = len(part)
    while row and stands_behind(type(layers[row - 1].op)) and _continues(part, row - 1, source):
        row -= 1
    if all(_continues(part, i, source) for i in range(len(part))):
        row = 0
    names = _short_names(part, layers)
    rest = [(names[node], root.get_submodule(str(node.target))) for node in part[row:]]
    graph = [("body", _graph(part[:row], names, source, root))] if row else []
    return nn.Sequential(OrderedDict([*graph, *rest]))


def _continues(part: Sequence[fx.Node], i: int, source: fx.Node) -> bool:
    """Whether node ``i`` is a module that reads nothing but what the one before it gives."""
    before = part[i - 1] if i else source
    return part[i].op == "call_module" and part[i].all_input_nodes == [before]


def _graph(part: Sequence[fx.Node], names: dict[fx.Node, str], source: fx.Node, root: nn.Module) -> nn.Module:
    holder, graph = nn.Module(), fx.Graph()
    known = {source: graph.placeholder("x")}
    for node in part:
        known[node] = graph.node_copy(node, known.__getitem__)
        if node.op == "call_module":
            holder.add_module(names[node], root.get_submodule(str(node.target)))
            known[node].target = names[node]
    graph.output(known[part[-1]])
    return fx.GraphModule(holder, graph)


def _weighted_paths(part: Sequence[fx.Node], layers: Sequence[Layer]) -> list[Path]:
    return [str(n.target).split(".") for n, layer in zip(part, layers, strict=True) if layer.weights]


def _shared(paths: Sequence[Path]) -> Path:
    """The components with which all ``paths`` begin."""
    columns = takewhile(lambda column: len(set(column)) == 1, zip(*paths, strict=False))
    return [column[0] for column in columns]


def _short_names(part: Sequence[fx.Node], layers: Sequence[Layer]) -> dict[fx.Node, str]:
    """Each by its path, without what those of layers with weights share."""
    shared = _shared([path[:-1] for path in _weighted_paths(part, layers)])
    names: dict[fx.Node, str] = {}
    for node in part:
        if node.op == "call_module":
            path = str(node.target).split(".")
            inside = path[: len(shared)] == shared and len(path) > len(shared)
            name = "_".join(path[len(shared) :] if inside else path)
            while name in names.values() or hasattr(fx.GraphModule, name) or hasattr(nn.Sequential, name):
                name = f"{name}_"
            names[node] = name
    return names
