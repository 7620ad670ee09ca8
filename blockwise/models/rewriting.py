"""The nodes of a traced module, each made to call a module of its own or a function of several tensors."""

import copy
import math
import operator
from collections.abc import Callable
from itertools import chain, count
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.operator_schemas import normalize_function

from devices.errors import InputError
from devices.network.ops import of_module_class

Shape = tuple[int, ...]

BETWEEN: dict[str, Callable[..., Tensor]] = {
    "add": operator.add, "iadd": operator.add, "add_": operator.add,
    "mul": operator.mul, "imul": operator.mul, "mul_": operator.mul,
    "cat": torch.cat,
}  # fmt: skip
"""Functions of several tensors, which stay functions."""

ASIDE = ("size", "getattr", "getitem")
"""What only reads sizes: nobody asks for it once reshapes are modules."""

SAME = ("contiguous", "clone")
RESHAPES = ("flatten", "view", "reshape", "squeeze")
INPUTS = ("input", "inplace", "training", "return_indices")
"""Arguments of functions that the module of that name has not."""

TORCH: dict[str, type[nn.Module]] = {
    name.lower(): kind
    for name, kind in vars(nn).items()
    if isinstance(kind, type) and issubclass(kind, nn.Module)
}
"""Modules of torch.nn by the names of the functions that do the same, without underscores."""


class Rewriting:
    """Replaces the nodes of a graph, in order, whose shapes without the batch are in ``meta["shape"]``."""

    def __init__(self, root: fx.GraphModule, name: str) -> None:
        self.root, self.name, self.called = root, name, set[nn.Module]()

    def run(self) -> None:
        """Every node that makes a tensor calls a module, or a function of several tensors."""
        for node in list(self.root.graph.nodes):
            if node.op == "call_module":
                self._own(node)
            elif node.op in ("call_function", "call_method"):
                self._function(node)
            elif node.op == "get_attr":
                raise self._refused(node, f"the parameter {node.target} outside a layer")
        for node in reversed(self.root.graph.nodes):
            if node.meta.get("aside") and not node.users:
                self.root.graph.erase_node(node)
        for node in self.root.graph.nodes:
            if node.meta.get("aside"):
                raise self._refused(node, "a size that the network computes with")

    def _own(self, node: fx.Node) -> None:
        """Every call has a module of its own."""
        module = self.root.get_submodule(str(node.target))
        read, made = node.all_input_nodes[0].meta["shape"], node.meta["shape"]
        if isinstance(module, nn.Linear) and len(read) != 1:
            raise self._refused(node, f"a linear layer on each place of {read}")
        if isinstance(module, nn.Flatten) and len(made) != 1:
            raise self._refused(node, f"a flatten of {read} to {made}")
        if module in self.called:
            if next(module.parameters(), None) is not None:
                raise self._refused(node, "weights that two layers share")
            self._put(node, copy.deepcopy(module), str(node.target))
        self.called.add(module)

    def _function(self, node: fx.Node) -> None:
        called = getattr(node.target, "__name__", str(node.target))
        if called in ASIDE:
            node.meta["aside"] = True
        elif called in BETWEEN:
            self._between(node, called)
        else:
            module = self._module(node, called)
            if module is None:
                raise self._refused(node, f"the operation {called!r}")
            inside = [path for path, _ in self._stack(node)[-1:] if path]
            self._put(node, module, ".".join([*inside, called.strip("_")]))

    def _between(self, node: fx.Node, called: str) -> None:
        """Sums, products and concatenations of maps: of nothing but tensors, and along channels."""
        if called == "cat":
            dim = (*node.args[1:2], node.kwargs.get("dim", node.kwargs.get("axis", 0)))[0]
            if dim != 1:
                raise self._refused(node, f"a concatenation along dimension {dim}")
        else:
            sources = [source.meta["shape"] for source in node.all_input_nodes]
            twice = len(sources) == 1 and list(node.args) == 2 * node.all_input_nodes
            if twice or len(sources) != 2 or None in sources:
                raise self._refused(node, f"{called!r} of a tensor and a constant, or of one with itself")
            if BETWEEN[called] is operator.add and sources[0] != sources[1]:
                raise self._refused(node, f"a sum of maps of {sources[0]} and {sources[1]}")
            if "alpha" in node.kwargs:
                raise self._refused(node, f"{called!r} with a factor")
            node.args, node.kwargs = tuple(node.all_input_nodes), {}
        node.op, node.target = "call_function", BETWEEN[called]

    def _module(self, node: fx.Node, called: str) -> nn.Module | None:
        source, made = node.all_input_nodes[0].meta["shape"], node.meta["shape"]
        if called in SAME or (called in RESHAPES and source == made):
            return nn.Identity()
        if called in RESHAPES and made == (math.prod(source or ()),):
            return nn.Flatten()
        if called == "mean" and source is not None and len(source) == 3:
            return _mean(node, source, made)
        kind = TORCH.get(called.replace("_", ""))
        readers = [source for source in node.all_input_nodes if source.meta["shape"] is not None]
        arguments = _arguments(node)
        if kind is None or of_module_class(kind) is None or len(readers) != 1 or arguments is None:
            return None
        return _made(kind, arguments, source, made)

    def _put(self, node: fx.Node, module: nn.Module, path: str) -> None:
        """Let ``node`` call ``module``, which stands at ``path``, or with a number if that is taken."""
        parent, _, name = path.rpartition(".")
        holder = self.root.get_submodule(parent)
        free = next(n for n in chain([name], (f"{name}_{i}" for i in count(1))) if not hasattr(holder, n))
        holder.add_module(free, module)
        node.op, node.target = "call_module", f"{parent}.{free}" if parent else free
        node.args, node.kwargs = (node.all_input_nodes[0],), {}

    @staticmethod
    def _stack(node: fx.Node) -> list[tuple[str, Any]]:
        """Paths and classes of the modules in whose code the node stands, the innermost last."""
        return [*node.meta.get("nn_module_stack", {}).values()]

    def _refused(self, node: fx.Node, got: str) -> InputError:
        """Named by the module of torch.nn in whose code the node stands, if there is one."""
        path, kind = (self._stack(node) or [(node.name, None)])[-1]
        inside = node.op != "call_module" and isinstance(kind, type)
        foreign = inside and kind.__module__.startswith("torch.nn")
        return InputError(
            f"layer {path} of {self.name}", got=kind.__name__ if foreign else got,
            wanted="layers that can be planned and trained: convolutions and linear layers in 2-D, norms, "
            "activations, pools, dropout, sums and concatenations of maps",
            do="replace it, or add its kind (docs/extending.md)",
        )  # fmt: skip


def _arguments(node: fx.Node) -> dict[str, Any] | None:
    """Of a function or a method, by name; None if their names are not known."""
    if len(node.args) == 1 and not node.kwargs:
        return {}
    if node.op == "call_method":
        return None
    target: Any = node.target
    found = normalize_function(target, node.args, dict(node.kwargs), normalize_to_only_use_kwargs=True)
    return dict(found.kwargs) if found is not None else None


def _made(kind: type[nn.Module], arguments: dict[str, Any], source: Shape, made: Shape) -> nn.Module | None:
    """The module with the arguments of the call, which makes ``made`` of ``source``."""
    if arguments.get("training") is False:
        return nn.Identity()
    given = {key: value for key, value in arguments.items() if key not in INPUTS and value != []}
    if any(isinstance(value, fx.Node) for value in given.values()):  # a window as large as the map
        whole = kind is nn.AvgPool2d and made[1:] == (1, 1) and source[1] == source[2]
        return nn.AdaptiveAvgPool2d(1) if whole else None
    return kind(**given)


def _mean(node: fx.Node, source: Shape, made: Shape) -> nn.Module | None:
    """A mean over space, with or without the two dimensions of one pixel."""
    dims: Any = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
    if not isinstance(dims, list | tuple) or sorted(dim % 4 for dim in dims) != [2, 3]:
        return None
    if made == (source[0], 1, 1):
        return nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()) if made == (source[0],) else None
