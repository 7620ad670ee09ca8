"""Changing a traced network in place: nodes that call other modules, refusals that name the user's line."""

import re
from itertools import chain, count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from blockwise.nets.chain import STOOD_AT
from devices.errors import InputError

Shape = tuple[int, ...]


ALIASES = {
    "concat": "cat", "concatenate": "cat", "clamp_": "clamp", "clip_": "clip", "clamp_min_": "clamp_min",
}  # fmt: skip
"""Other names of functions, and what they do in place: whether that matters shows in the values."""


class Editing:
    """The graph of ``root``, whose nodes know their shapes without the batch by ``meta["shape"]``.

    Of what does not depend on the input there is no shape, but ``meta["value"]``.
    """

    def __init__(self, root: fx.GraphModule, name: str) -> None:
        self.root, self.name = root, name

    def put(self, node: fx.Node, module: nn.Module, path: str, source: fx.Node | None = None) -> None:
        """Let ``node`` call ``module`` of ``source``, its first input unless another is given.

        It stands at ``path``, or with a number if that is taken by what others call.
        """
        if node.op == "call_module" and path == node.target and self._calls(path) == 1:
            self.root.set_submodule(path, module)
            node.args, node.kwargs = (source or node.all_input_nodes[0],), {}
            return
        free = next(n for n in chain([path], (f"{path}_{i}" for i in count(1))) if not self._stands(n))
        self.root.add_submodule(free, module)
        node.op, node.target = "call_module", free
        node.args, node.kwargs = (source or node.all_input_nodes[0],), {}

    def insert(self, before: fx.Node, module: nn.Module, path: str, source: fx.Node, shape: Shape) -> fx.Node:
        """A new node of that kind, before another."""
        with self.root.graph.inserting_before(before):
            made = self.root.graph.call_function(nn.Identity, (source,))
        made.meta.update(shape=shape, nn_module_stack=before.meta.get("nn_module_stack", {}))
        made.stack_trace = before.stack_trace
        self.put(made, module, path)
        return made

    def before(self, node: fx.Node, method: str, args: tuple[Any, ...], shape: Shape) -> fx.Node:
        """A new node that calls a method of its first argument, a map, and makes one of ``shape``."""
        with self.root.graph.inserting_before(node):
            made = self.root.graph.call_method(method, args)
        made.meta.update(shape=shape, nn_module_stack=node.meta.get("nn_module_stack", {}))
        made.stack_trace = node.stack_trace
        return made

    def constant(self, node: fx.Node, value: Tensor) -> fx.Node:
        """A new node before ``node`` that stands for ``value``, which no input changes, until it is read."""
        with self.root.graph.inserting_before(node):
            made = self.root.graph.call_function(torch.tensor)
        made.meta.update(shape=None, value=value)
        return made

    def _calls(self, path: str) -> int:
        """How many nodes call what stands at ``path``, or what an earlier edit has put inside."""
        called = (f"{node.target}." for node in self.root.graph.nodes if node.op == "call_module")
        return sum(target.startswith(f"{path}.") for target in called)

    def path_of(self, node: fx.Node, called: str) -> str:
        """Where the module stands that takes the place of a function: beside the code that calls it."""
        inside = [path for path, _ in self._stack(node)[-1:] if path]
        return ".".join([*inside, called.strip("_")])

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

    def refused(self, node: fx.Node, got: str) -> InputError:
        """Named by the module of torch.nn in whose code the node stands, if there is one."""
        path, kind = (self._stack(node) or [(node.name, None)])[-1]
        inside = node.op != "call_module" and isinstance(kind, type)
        foreign = inside and kind.__module__.startswith("torch.nn")
        return InputError(
            f"layer {path} of {self.name}", got=kind.__name__ if foreign else got,
            wanted="layers that can be planned and trained: convolutions, linear layers, norms, activations, "
            "pools, dropout, borders, reshapes, parts, sums, products and concatenations of maps",
            do=f"replace it{_line_of(node)}, or add its kind (docs/extending.md)",
        )  # fmt: skip


def name_of(node: fx.Node) -> str:
    """The function or method that a node calls; "" if it calls none."""
    if node.op not in ("call_function", "call_method"):
        return ""
    called = getattr(node.target, "__name__", str(node.target))
    return ALIASES.get(called, called)


def argument(node: fx.Node, name: str, position: int, default: Any = None) -> Any:
    """Of a call, by name or position."""
    if name in node.kwargs:
        return node.kwargs[name]
    return node.args[position] if position < len(node.args) else default


def stood_at(module: nn.Module, **paths: str | None) -> nn.Module:
    """``module``, which knows where its parameters, named, stood before: in no layer of that kind."""
    vars(module)[STOOD_AT] = {part: path for part, path in paths.items() if path}
    return module


def known(value: Any) -> Any:
    """An argument in which sizes that the network computes are numbers."""
    return fx.map_arg(value, lambda node: node.meta.get("value", node))


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
