"""A module in the making: layers with weights as modules of torch.nn, all else as functions of PyTorch."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, fx, nn

from devices.errors import InputError


class Assembly:
    """A graph of one input, whose calls are added in order; ``subject`` names the file in errors."""

    def __init__(self, subject: str) -> None:
        self.subject, self.owned = subject, set[str]()
        self.root, self.graph = nn.Module(), fx.Graph()
        self.input = self.graph.placeholder("x")

    def own(self, weights: str) -> None:
        """Note that a layer has them. Raises InputError if another one has them already."""
        if weights in self.owned:
            raise InputError(
                f"{self.subject}: {weights}", got="weights that two layers share", wanted="each layer's own",
                do="give every layer its own weights and export it again",
            )  # fmt: skip
        self.owned.add(weights)

    def layer(self, path: str, module: nn.Module, source: fx.Node) -> fx.Node:
        """A call of ``module``, which stands at ``path``, or beside it if that is taken."""
        *parents, name = path.split(".") if path else ["layer"]
        holder = self.root
        for parent in parents:
            if not hasattr(holder, parent):
                holder.add_module(parent, nn.Module())
            holder = getattr(holder, parent)
        while hasattr(holder, name):
            name = f"{name}_"
        holder.add_module(name, module)
        return self.graph.call_module(".".join([*parents, name]), (source,))

    def tensor(self, path: str, value: Tensor, *, trained: bool) -> fx.Node:
        """What stands in the file beside layers: a parameter, or a constant that is kept with the module."""
        name = "".join(c if c.isalnum() else "_" for c in path).strip("_")
        name = f"tensor_{name}" if not name.isidentifier() else name
        while hasattr(self.root, name):
            name = f"{name}_"
        if trained:
            self.root.register_parameter(name, nn.Parameter(value.detach().float().clone()))
        else:
            self.root.register_buffer(name, value.detach().clone())
        return self.graph.get_attr(name)

    def spread(self, parameter: fx.Node, source: fx.Node) -> fx.Node:
        """A parameter (1, ...) once for each image of a map."""
        images = self.graph.call_method("size", (source, 0))
        sides = getattr(self.root, str(parameter.target)).ndim - 1
        return self.graph.call_method("expand", (parameter, images, *[-1] * sides))

    def function(self, called: Callable[..., Any], *args: Any, **options: Any) -> fx.Node:
        """A call of a function."""
        return self.graph.call_function(called, args, options)

    def finish(self, output: fx.Node, name: str) -> fx.GraphModule:
        """The module, whose class is called ``name``."""
        self.graph.output(output)
        return fx.GraphModule(self.root, self.graph, class_name=name if name.isidentifier() else "Network")
