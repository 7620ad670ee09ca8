"""The nodes of a traced module, each made to call a module of its own or a function of several tensors."""

import copy
import math
import operator
import re
from collections.abc import Callable
from itertools import chain, count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.operator_schemas import normalize_function

from blockwise.models.reshaping import Padding, Reshape
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
RESHAPES = ("flatten", "unflatten", "view", "reshape", "squeeze", "unsqueeze")
AVERAGES: tuple[Callable[[Any], nn.Module], ...] = (
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
)  # fmt: skip
MAXIMA: tuple[Callable[[Any], nn.Module], ...] = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
ADAPTIVE_MAX = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
CONSTANT_PADS = (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)
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
        changed = self._in_other_form(module, read, made)
        if changed is not None:
            self._put(node, changed, str(node.target))
            return
        if isinstance(module, nn.AvgPool1d | nn.AvgPool2d) and getattr(module, "divisor_override", None):
            raise self._refused(node, "an average with a divisor of its own")
        if module in self.called:
            if next(module.parameters(), None) is not None:
                raise self._refused(node, "weights that two layers share")
            self._put(node, copy.deepcopy(module), str(node.target))
        self.called.add(module)

    def _in_other_form(self, module: nn.Module, read: Shape, made: Shape) -> nn.Module | None:
        """The module that does the same, of those that have a layer; None for one that has it itself."""
        if isinstance(module, nn.Flatten | nn.Unflatten) and len(made) != 1:
            return Reshape(made)
        if isinstance(module, ADAPTIVE_MAX):
            return _windows(read, made)
        if isinstance(module, CONSTANT_PADS) and not module.value:
            return Padding(tuple(module.padding))
        return None

    def _function(self, node: fx.Node) -> None:
        called = getattr(node.target, "__name__", str(node.target))
        if called in ASIDE:
            if node.meta["shape"] is not None:
                raise self._refused(node, f"a part of a map, by {called!r}")
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
            if dim not in (1, -len(node.meta["shape"])):
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
        if called in RESHAPES and source is not None and math.prod(source) == math.prod(made):
            return Reshape(made)
        if called in ("mean", "amax") and source is not None:
            return _over_space(node, called, source, made)
        if called in ("clamp", "clip"):
            return _clamp(node)
        if called == "pad":
            return _pad(node)
        if called.startswith("adaptive_max_pool"):
            return _windows(source, made)
        kind = TORCH.get(called.replace("_", ""))
        readers = [source for source in node.all_input_nodes if source.meta["shape"] is not None]
        arguments = _arguments(node)
        if kind is None or of_module_class(kind) is None or len(readers) != 1 or arguments is None:
            return None
        return _made(kind, arguments, source, made)

    def _put(self, node: fx.Node, module: nn.Module, path: str) -> None:
        """Let ``node`` call ``module``, which stands at ``path``, or with a number if that is taken."""
        free = next(n for n in chain([path], (f"{path}_{i}" for i in count(1))) if not self._stands(n))
        self.root.add_submodule(free, module)
        node.op, node.target = "call_module", free
        node.args, node.kwargs = (node.all_input_nodes[0],), {}

    def _stands(self, path: str) -> bool:
        """Whether something stands at ``path``; what leads there was left out if nothing in it is called."""
        found: object = self.root
        for part in path.split("."):
            found = getattr(found, part, None)
        return found is not None

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
            wanted="layers that can be planned and trained: convolutions, linear layers, norms, activations, "
            "pools, dropout, borders, reshapes, sums, products and concatenations of maps",
            do=f"replace it{_line_of(node)}, or add its kind (docs/extending.md)",
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
        averages = (nn.AvgPool1d, nn.AvgPool2d)
        whole = kind in averages and math.prod(made[1:]) == 1 and len(set(source[1:])) == 1
        return AVERAGES[len(source) - 2](1) if whole else None
    if given.pop("divisor_override", None):
        return None
    return kind(**given)


def _over_space(node: fx.Node, called: str, source: Shape, made: Shape) -> nn.Module | None:
    """A mean or maximum over dimensions of space, which are left with one place each or taken out."""
    dims: Any = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
    dims = [dims] if isinstance(dims, int) else dims
    rank = len(source) + 1
    if not isinstance(dims, list | tuple) or any(dim % rank < 2 for dim in dims):
        return None
    gone = {dim % rank - 1 for dim in dims}
    left = tuple(1 if i in gone else size for i, size in enumerate(source))
    pool = AVERAGES[rank - 3](left[1:]) if called == "mean" else _windows(source, left)
    return pool if pool is None or made == left else nn.Sequential(pool, _shaped(made))


def _shaped(made: Shape) -> nn.Module:
    return nn.Flatten() if len(made) == 1 else Reshape(made)


def _windows(source: Shape, made: Shape) -> nn.Module | None:
    """A max pool down to the size of ``made``; None where the sides are no multiples."""
    sides = list(zip(source[1:], made[1:], strict=True))
    if not sides or any(side % left for side, left in sides):
        return None
    return MAXIMA[len(sides) - 1](tuple(side // left for side, left in sides))


def _clamp(node: fx.Node) -> nn.Module | None:
    """Between two constants; from 0 on it is a ReLU."""
    low = node.kwargs.get("min", node.args[1] if len(node.args) > 1 else None)
    high = node.kwargs.get("max", node.args[2] if len(node.args) > 2 else None)
    if low == 0 and high is None:
        return nn.ReLU()
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None
    return nn.ReLU6() if (low, high) == (0, 6) else nn.Hardtanh(float(low), float(high))


def _pad(node: fx.Node) -> nn.Module | None:
    """A border of zeros, or of what the map has at its rim."""
    given = _arguments(node) or {}
    amounts, mode = given.get("pad"), given.get("mode", "constant")
    if not isinstance(amounts, list | tuple) or not all(isinstance(n, int) for n in amounts):
        return None
    return Padding(tuple(amounts), mode) if not given.get("value") else None


def _line_of(node: fx.Node) -> str:
    """Where the user's code calls it: the innermost line that is not PyTorch's."""
    frames = [
        line.strip() for line in (node.stack_trace or "").splitlines() if line.strip().startswith("File")
    ]
    own = [line for line in frames if "/torch/" not in line and "/devices/network/" not in line]
    if not own:
        return ""
    place = re.match(r'File "(.*)", line (\d+)', own[-1])
    return f" in {Path(place[1]).name}, line {place[2]}" if place else ""
