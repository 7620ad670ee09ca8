"""Maps taken apart along a dimension that goes: ``q, k, v = qkv.unbind(0)``.

The batch may stand behind that dimension meanwhile, as code for attention has it; here it stays in front.
"""

from collections.abc import Iterator
from typing import Any

from torch import fx

from blockwise.models.editing import Editing, argument, known, name_of
from blockwise.models.rearranging import order_of

DIVIDES = ("split", "split_with_sizes")
Taken = tuple[fx.Node, int | None]
"""What reads one part of the first dimension, and which; None where it reads another one, or more."""


class Unbound(Editing):
    """Lets each reader of a part select it."""

    def run(self) -> None:
        """Every division of that kind, then every permutation that puts the batch second."""
        for node in list(self.root.graph.nodes):
            if name_of(node) == "unbind" and node.meta.get("shapes") is not None:
                self._select(node)
        for node in list(self.root.graph.nodes):
            order = order_of(node)
            if order and order[0] and order[1] == 0:
                found = [pair for user in node.users for pair in _taken(user)]
                if all(index is not None for _, index in found):
                    self._keep_in_front(node, order, found)

    def _select(self, node: fx.Node) -> None:
        """All parts are taken by number."""
        source, dim = node.all_input_nodes[0], known(argument(node, "dim", 1, 0))
        if any(name_of(user) != "getitem" for user in node.users):
            return
        for user in list(node.users):
            user.op, user.target = "call_method", "select"
            user.args, user.kwargs = (source, dim, known(user.args[1])), {}
        self.root.graph.erase_node(node)

    def _keep_in_front(self, node: fx.Node, order: tuple[int, ...], found: list[Any]) -> None:
        """A part is taken first, and then permuted: it has no more dimensions than a map."""
        first, _, *others = order
        source = node.all_input_nodes[0]
        shape = list(source.meta["shape"])
        count = shape.pop(first - 1)
        behind = (0, *(dim - (dim > first) for dim in others))
        for reader, index in found:
            part = self.before(reader, "select", (source, first, index % count), tuple(shape))
            reader.op, reader.target = "call_method", "permute"
            reader.args, reader.kwargs = (part, *behind), {}
        self._erase_unread(node)

    def _erase_unread(self, node: fx.Node) -> None:
        """With what stood between it and its readers."""
        for user in list(node.users):
            self._erase_unread(user)
        self.root.graph.erase_node(node)


def _taken(user: fx.Node) -> Iterator[Taken]:
    """What takes a part by way of ``user``."""
    if name_of(user) in DIVIDES:
        sizes, dim = known(user.args[1]) if len(user.args) > 1 else None, known(argument(user, "dim", 2, 0))
        ones = dim == 0 and (sizes == 1 or (isinstance(sizes, list | tuple) and {*sizes} == {1}))
        for part in user.users:
            yield from _left_out(part, known(part.args[1]) if ones and name_of(part) == "getitem" else None)
        return
    index = _index(user)
    if isinstance(index, slice):
        one = index.step in (None, 1) and index.stop == (index.start or 0) + 1
        yield from _left_out(user, (index.start or 0) if one else None)
    else:
        yield user, index


def _left_out(part: fx.Node, index: int | None) -> Iterator[Taken]:
    """Whoever leaves the dimension of one place out, and no other."""
    for reader in part.users:
        leaves = name_of(reader) == "squeeze" and known(argument(reader, "dim", 1)) in (0, [0], (0,))
        yield reader, index if leaves else None


def _index(user: fx.Node) -> Any:
    """What is taken of the first dimension alone: a number or a slice; None if that is not all."""
    if name_of(user) == "select":
        return known(argument(user, "index", 2)) if known(argument(user, "dim", 1)) == 0 else None
    index = known(user.args[1]) if name_of(user) == "getitem" else None
    if isinstance(index, tuple):
        index = index[0] if index and all(item == slice(None) for item in index[1:]) else None
    return index if isinstance(index, int | slice) else None
