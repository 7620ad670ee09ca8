"""Einstein sums of two maps as products of matrices: ``einsum("bhid,bhjd->bhij", q, k)`` is ``q @ k.mT``."""

from typing import Any

import torch
from torch import fx

from blockwise.models.editing import Editing, Shape, argument


class Einsums(Editing):
    """Permutes both maps, multiplies them, and permutes the product."""

    def run(self) -> None:
        """Every sum over one letter that both have, of maps that have one other letter each."""
        for node in list(self.root.graph.nodes):
            if node.op == "call_function" and node.target is torch.einsum and node.meta["shape"] is not None:
                self._as_product(node)

    def _as_product(self, node: fx.Node) -> None:
        """Raises InputError for others."""
        written: Any = argument(node, "equation", 0)
        maps: list[Any] = list(node.args[1:])
        letters = _letters(written) if len(maps) == 2 else None
        if letters is None or not all(isinstance(x, fx.Node) and x.meta["shape"] is not None for x in maps):
            raise self.refused(node, f"the sum {written!r}")
        left, right, made = letters
        many = "".join(x for x in made if x in left and x in right)
        (row,), (column,) = (set(made) & set(side) - set(many) for side in (left, right))
        (inner,) = set(left) & set(right) - set(made)
        first = self._in_order(node, maps[0], left, many + row + inner)
        second = self._in_order(node, maps[1], right, many + inner + column)
        self._multiply(node, first, second, many + row + column, made)

    def _multiply(self, node: fx.Node, first: fx.Node, second: fx.Node, found: str, made: str) -> None:
        """The product has the dimensions ``found``, of which ``made`` is asked for."""
        node.op, node.target, node.args, node.kwargs = "call_method", "matmul", (first, second), {}
        if found != made:
            sizes = dict(zip(made, (0, *node.meta["shape"]), strict=True))
            shape = tuple(sizes[letter] for letter in found[1:])
            product = self.before(node, "matmul", (first, second), shape)
            node.target, node.args = "permute", (product, *map(found.index, made))

    def _in_order(self, node: fx.Node, source: fx.Node, letters: str, wanted: str) -> fx.Node:
        if letters == wanted:
            return source
        order = [letters.index(letter) for letter in wanted]
        shape: Shape = tuple(source.meta["shape"][dim - 1] for dim in order[1:])
        return self.before(node, "permute", (source, *order), shape)


def _letters(written: object) -> tuple[str, str, str] | None:
    """Of both maps and of the product, the batch first; None where it is no product of matrices."""
    if not isinstance(written, str):
        return None
    inputs, _, made = written.replace(" ", "").partition("->")
    left, _, right = inputs.partition(",")
    sides = left, right, made
    if not all(sides) or any(len(set(side)) != len(side) or not side.isalpha() for side in sides):
        return None
    many = {x for x in made if x in left and x in right}
    alone = [len(set(made) & set(side) - many) for side in (left, right)]
    summed = set(left) & set(right) - set(made)
    whole = set(left) | set(right) == set(made) | summed
    same_batch = left[0] == right[0] == made[0]
    return sides if alone == [1, 1] and len(summed) == 1 and whole and same_batch else None
