"""A module's own code as a graph in which every operation with a layer is a module of its own.

``F.relu(x)``, ``x.view(x.size(0), -1)`` and ``x.mean((2, 3))`` become the modules of torch.nn that do the
same, and a module that is called twice becomes two, so that each place can have a quantizer of its own.
"""

import copy
import math
import operator
from collections.abc import Callable, Mapping
from itertools import chain, count
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.operator_schemas import normalize_function

from devices.errors import InputError
from devices.network.ops import of_module_class
from devices.network.trace import symbolic

Shape = tuple[int, ...]
Arguments = Mapping[str, Any]

IMAGES = 2
"""In the batch on which shapes are found: reshapes by the size of the batch want one that is not empty."""

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


def in_modules(module: nn.Module, name: str, in_shape: Shape) -> fx.GraphModule:
    """A copy of ``module`` for one image batch (B, *in_shape), its operations as modules.

    Raises InputError for what cannot be traced, has other than one input and one output, does not take
    this shape, shares weights between layers, or computes what no layer does.
    """
    root = copy.deepcopy(module).train()  # as it is trained: dropout is there
    if type(root).__module__.startswith("torch.nn") and not list(root.children()):
        root = nn.Sequential(root)  # a layer alone would be looked into
    _check_own_weights(root, name)
    for child, _ in root.named_children():
        if hasattr(fx.GraphModule, child):
            raise InputError(f"{name}.{child}", got="a name of torch.fx", wanted="another", do="rename it")
    graph = _symbolic(root, name)
    inputs = [node for node in graph.nodes if node.op == "placeholder" and (node.users or not node.args)]
    if len(inputs) != 1:
        raise InputError(name, got=f"{len(inputs)} inputs", wanted="one, the images", do="wrap it")
    result = fx.GraphModule(root, graph)
    _find_shapes(result, name, in_shape)
    _Rewriting(result, name).run()
    for node in graph.nodes:  # arguments with defaults that nothing reads
        if node.op == "placeholder" and not node.users:
            graph.erase_node(node)
    for found in result.modules():
        if hasattr(found, "inplace"):  # what a block is given may have other readers
            setattr(found, "inplace", False)  # noqa: B010
    result.delete_all_unused_submodules()
    result.recompile()
    return result


def _check_own_weights(root: nn.Module, name: str) -> None:
    """Raise InputError for a parameter that stands in two places."""
    once = {path for path, _ in root.named_parameters()}
    for path, _ in root.named_parameters(remove_duplicate=False):
        if path not in once:
            raise InputError(
                f"{name}.{path}", got="weights that two layers share", wanted="each layer's own",
                do="give every layer its own weights",
            )  # fmt: skip


def _symbolic(root: nn.Module, name: str) -> fx.Graph:
    try:
        return symbolic(root, name)
    except InputError as error:
        do = "leave out branches and loops that depend on the values of tensors"
        raise InputError(name, got=error.got, wanted=error.wanted, do=do) from error


def _find_shapes(root: fx.GraphModule, name: str, in_shape: Shape) -> None:
    """Notes the shape of every node, from zeros that pass a copy at rest."""
    parameter = next(root.parameters(), torch.empty(0))
    x = torch.zeros(IMAGES, *in_shape, device=parameter.device, dtype=parameter.dtype)
    root.eval()
    try:
        with torch.no_grad():
            _Shapes(root).run(x)
    except Exception as error:  # whatever the module's own code raises
        raise InputError(
            f"{name} on {'x'.join(map(str, in_shape))}", got=" ".join(f"{error}".split())[:120],
            wanted="images that every layer takes", do="name the shape (C, H, W) of its images",
        ) from error  # fmt: skip
    root.train()


class _Shapes(fx.Interpreter):
    """Notes in every node the shape of its tensor without the batch, or None for what is no tensor."""

    extra_traceback = False

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        n.meta["shape"] = tuple(result.shape[1:]) if isinstance(result, Tensor) else None
        return result


class _Rewriting:
    """Replaces the nodes of a graph, in order."""

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
            node.args, node.kwargs = tuple(node.all_input_nodes), {}
        node.op, node.target = "call_function", BETWEEN[called]

    def _module(self, node: fx.Node, called: str) -> nn.Module | None:
        source, made = node.all_input_nodes[0].meta["shape"], node.meta["shape"]
        if called in SAME or (called in RESHAPES and source == made):
            return nn.Identity()
        if called in RESHAPES and made == (math.prod(source or ()),):
            return nn.Flatten()
        if called == "mean" and source is not None and len(source) == 3:
            return _mean(source, made)
        kind = TORCH.get(called.replace("_", ""))
        readers = [source for source in node.all_input_nodes if source.meta["shape"] is not None]
        if kind is None or of_module_class(kind) is None or len(readers) != 1:
            return None
        return _made(kind, _arguments(node), made)

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


def _arguments(node: fx.Node) -> dict[str, Any]:
    """Of a function by name; of a method none."""
    if node.op == "call_method":
        return {}
    target: Any = node.target
    found = normalize_function(target, node.args, dict(node.kwargs), normalize_to_only_use_kwargs=True)
    return dict(found.kwargs) if found is not None else {}


def _made(kind: type[nn.Module], arguments: dict[str, Any], shape: Shape) -> nn.Module | None:
    """The module with the arguments of the call; ``shape`` is that of what it makes."""
    if arguments.get("training") is False:
        return nn.Identity()
    given = {key: value for key, value in arguments.items() if key not in INPUTS and value != []}
    if any(isinstance(value, fx.Node) for value in given.values()):  # a window as large as the map
        return nn.AdaptiveAvgPool2d(1) if kind is nn.AvgPool2d and shape[1:] == (1, 1) else None
    return kind(**given)


def _mean(source: Shape, made: Shape) -> nn.Module | None:
    """A mean over space, with or without the two dimensions of one pixel."""
    if made == (source[0], 1, 1):
        return nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()) if made == (source[0],) else None
