"""Tracing code that asks for sizes: values that know the shapes of an example.

What torch.fx traces with stands for maps of any size, so that code cannot branch on a size, unpack it or
count what it divides. Here every step is computed of an example as well, and what is no tensor is told at
once.
"""

import copy
import operator
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from devices.errors import InputError
from devices.network.trace import Tracer

ASKS = (
    "size", "dim", "ndimension", "numel", "nelement", "stride", "get_device", "type", "is_floating_point",
    "is_contiguous", "getattr", "is_tensor", "getitem",
)  # fmt: skip
"""What may be asked of a tensor without looking at its values."""


class ShapedTracer(Tracer):
    """Traces with ``example``, a batch of inputs (B, ...), beside."""

    def __init__(self, example: Tensor) -> None:
        super().__init__()
        self.example = example
        self.computing = False

    def trace(self, root: nn.Module | Any, concrete_args: dict[str, Any] | None = None) -> fx.Graph:
        """The graph of a module; what is computed of the example is at rest, and changes nothing in it."""
        self.twin = copy.deepcopy(root).eval()
        return super().trace(root, concrete_args)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Of the network's own, or of what is computed of the example."""
        return forward(*args, **kwargs) if self.computing else super().call_module(m, forward, args, kwargs)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """A value that knows its example."""
        return ShapedProxy(node, self)

    def create_proxy(
        self, kind: str, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *rest: Any, **named: Any
    ) -> Any:
        """A value, or what is no tensor as it is.

        Raises InputError for a layer that the example does not suit, TraceError for questions about values.
        """
        made = super().create_proxy(kind, target, args, kwargs, *rest, **named)
        value = self._value(made.node)
        if any(isinstance(leaf, Tensor) for leaf in tree_leaves(value)):
            made.node.meta["example"] = value
            return made
        called = getattr(target, "__name__", target)
        if kind.startswith("call") and called not in ASKS:
            raise fx.proxy.TraceError(f"{called} asks for the values of a tensor")
        self.graph.erase_node(made.node)
        return value

    def _value(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return node.args[0] if node.args else self._given(str(node.target))
        args, kwargs = fx.map_arg((node.args, node.kwargs), self._known)
        target: Any = node.target
        if node.op == "get_attr":
            return _attribute(self.twin, self.root, str(target))
        if node.op == "call_module":
            target = self.twin.get_submodule(str(target))
        elif node.op == "call_method":
            target, args = getattr(args[0], str(target)), args[1:]
        try:
            self.computing = True
            with torch.no_grad(), torch.random.fork_rng(devices=()):
                return target(*args, **kwargs)
        except Exception as error:  # whatever a layer says of a map that it does not take
            raise not_taken("", self.example, error) from error
        finally:
            self.computing = False

    def _known(self, node: fx.Node) -> Any:
        """Of a value, or of a constant of the code, which becomes a node as it is."""
        if "example" not in node.meta:
            node.meta["example"] = self._value(node)
        return node.meta["example"]

    def _given(self, name: str) -> Any:
        """Of arguments without a default: the input, or none of several."""
        if name.startswith("*"):
            return {} if name.startswith("**") else ()
        return self.example


def not_taken(name: str, example: Tensor, error: Exception) -> InputError:
    """Of the network called ``name``, about what a layer says of a map."""
    shape = "x".join(map(str, example.shape[1:]))
    return InputError(
        f"{name} on {shape}".strip(), got=" ".join(f"{error}".split())[:120],
        wanted="an input that every layer takes", do="name the shape of one: C H W, C L or F",
    )  # fmt: skip


class ShapedProxy(fx.Proxy):
    """A tensor, or several, whose sizes are numbers."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.node.meta["example"], name)
        if isinstance(found, Tensor):
            return self.tracer.create_proxy("call_function", getattr, (self, name), {})
        return fx.proxy.Attribute(self, name) if callable(found) else found

    def __len__(self) -> int:
        return len(self.node.meta["example"])

    def __iter__(self) -> Iterator[Any]:
        return iter([operator.getitem(self, at) for at in range(len(self))])


def _attribute(twin: nn.Module, root: nn.Module, path: str) -> Any:
    """What stands at ``path``: constants of the code stand in ``root`` alone."""
    *inside, name = path.split(".")
    for module in (twin, root):
        found = module.get_submodule(".".join(inside))
        if hasattr(found, name):
            return getattr(found, name)
    raise AttributeError(path)
