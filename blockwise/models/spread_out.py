"""Gates that are spread over a map by hand before they multiply it, as squeeze-and-excitation often is.

``x * y.view(b, c, 1, 1).expand_as(x)`` is ``x * y.view(b, c, 1, 1)``: a product spreads its gate itself.
"""

from torch import fx

from blockwise.models.constants import MULTIPLIES
from blockwise.models.editing import Editing, name_of

SPREADS = ("expand_as", "expand", "broadcast_to")


class SpreadOut(Editing):
    """Lets products read gates as they are."""

    def run(self) -> None:
        """Every such node is taken out of the graph."""
        for node in list(self.root.graph.nodes):
            if name_of(node) in SPREADS and all(self._multiplies(user, node) for user in node.users):
                (gate, *_) = node.all_input_nodes
                if gate.meta["shape"] is not None and len(gate.meta["shape"]) == len(node.meta["shape"]):
                    node.replace_all_uses_with(gate)
                    self.root.graph.erase_node(node)

    @staticmethod
    def _multiplies(user: fx.Node, spread: fx.Node) -> bool:
        """A map of that shape, which is another one."""
        others = [other for other in user.all_input_nodes if other is not spread]
        found = [other.meta["shape"] for other in others]
        return name_of(user) in MULTIPLIES and found == [spread.meta["shape"]]
