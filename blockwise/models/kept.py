"""Dimensions that a mean leaves out and the next call puts in again, as ``x.mean(1).unsqueeze(1)``."""

from typing import Any

from torch import fx

from blockwise.models.editing import Editing, argument, known, name_of
from blockwise.models.reducing import REDUCES


class Kept(Editing):
    """Lets means, sums and maxima keep one place where all that read them want it there."""

    def run(self) -> None:
        """Every such node; what put the dimension in goes."""
        for node in list(self.root.graph.nodes):
            dim = _left_out(node)
            if dim is not None and node.users and all(_puts_in(user, dim) for user in node.users):
                node.op, node.target = "call_method", name_of(node)
                node.args, node.kwargs = (node.all_input_nodes[0], [dim], True), {}
                for user in list(node.users):
                    node.meta["shape"] = user.meta["shape"]
                    user.replace_all_uses_with(node)
                    self.root.graph.erase_node(user)


def _left_out(node: fx.Node) -> int | None:
    """The one dimension behind the batch that is left out; None if there are others, or none."""
    if (
        name_of(node) not in REDUCES
        or node.meta["shape"] is None
        or known(argument(node, "keepdim", 2, False))
    ):
        return None
    dims: Any = known(argument(node, "dim", 1))
    dims = [dims] if isinstance(dims, int) else list(dims or ())
    return dims[0] % (len(node.meta["shape"]) + 2) if len(dims) == 1 else None


def _puts_in(user: fx.Node, dim: int) -> bool:
    if name_of(user) == "unsqueeze":
        found = known(argument(user, "dim", 1))
        return isinstance(found, int) and found % (len(user.meta["shape"]) + 1) == dim
    if name_of(user) != "getitem" or not isinstance(user.args[1], tuple):
        return False
    index = user.args[1]
    return (
        len(index) > dim
        and index[dim] is None
        and all(item == slice(None) for at, item in enumerate(index) if at != dim)
    )
