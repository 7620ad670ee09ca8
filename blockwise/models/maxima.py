"""Maxima over a dimension of which the places are not asked for: ``x.max(2)[0]`` is ``x.amax(2)``."""

from torch import fx

from blockwise.models.editing import Editing, argument, known, name_of


class Maxima(Editing):
    """Lets code that takes the values alone have them alone."""

    def run(self) -> None:
        """Every such node is replaced in those that read it."""
        for node in list(self.root.graph.nodes):
            dim = known(argument(node, "dim", 1))
            if name_of(node) == "max" and isinstance(dim, int) and all(map(_of_values, node.users)):
                keeps = bool(known(argument(node, "keepdim", 2, False)))
                for user in list(node.users):
                    user.op, user.target = "call_method", "amax"
                    user.args, user.kwargs = (node.all_input_nodes[0], dim, keeps), {}
                self.root.graph.erase_node(node)


def _of_values(user: fx.Node) -> bool:
    """Whether a reader takes the values of a pair (values, indices)."""
    return name_of(user) in ("getitem", "getattr") and user.args[1] in (0, "values")
