"""Maps that are stacked: ``torch.stack([a, b]).mean(0)`` is ``(a + b) / 2``, others stand side by side."""

import operator

import torch
from torch import fx

from blockwise.models.editing import Editing, argument, known, name_of


class Stacked(Editing):
    """Adds one to the other what was stacked, or concatenates it along a dimension of its own."""

    def run(self) -> None:
        """Every sum and mean of a stack; then what is left of stacks."""
        for node in list(self.root.graph.nodes):
            stack = node.all_input_nodes[0] if name_of(node) in ("sum", "mean") else None
            if stack is not None and name_of(stack) == "stack" and _goes(node, stack):
                self._add(node, list(argument(stack, "tensors", 0)))
                if not stack.users:
                    self.root.graph.erase_node(stack)

        for node in list(self.root.graph.nodes):
            maps = argument(node, "tensors", 0) if name_of(node) == "stack" else None
            if isinstance(maps, list | tuple) and node.meta["shape"] is not None:
                self._side_by_side(node, list(maps))

    def _side_by_side(self, node: fx.Node, maps: list[fx.Node]) -> None:
        dim = known(argument(node, "dim", 1, 0)) % (len(node.meta["shape"]) + 1)
        if dim == 0 or any(x.meta["shape"] is None for x in maps):
            return
        shape = list(node.meta["shape"])
        shape[dim - 1] = 1
        apart = [self.before(node, "unsqueeze", (x, dim), tuple(shape)) for x in maps]
        node.op, node.target, node.args, node.kwargs = "call_function", torch.cat, (apart,), {"dim": dim}

    def _add(self, node: fx.Node, maps: list[fx.Node]) -> None:
        total, *others = maps
        for other in others:
            with self.root.graph.inserting_before(node):
                total = self.root.graph.call_function(operator.add, (total, other))
            total.meta.update(shape=node.meta["shape"], nn_module_stack=node.meta.get("nn_module_stack", {}))
            total.stack_trace = node.stack_trace
        share = 1 / len(maps) if name_of(node) == "mean" else 1.0
        node.op, node.target = "call_function", operator.mul
        node.args, node.kwargs = (total, share), {}


def _goes(node: fx.Node, stack: fx.Node) -> bool:
    """Whether it is the dimension of the stack, and that alone, that is left out."""
    maps, dim = argument(stack, "tensors", 0), known(argument(node, "dim", 1))
    dims = [dim] if isinstance(dim, int) else list(dim or ())
    rank = len(node.meta["shape"] or ()) + 2
    along = known(argument(stack, "dim", 1, 0)) % rank
    kept = known(argument(node, "keepdim", 2, False))
    return not isinstance(maps, fx.Node) and not kept and [d % rank for d in dims] == [along]
