"""Attention, however it is written: products of computed matrices, and softmaxes of their rows.

``F.scaled_dot_product_attention`` becomes both; the factor between them is one of the product.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx, nn

from blockwise.layers.attention import RowSoftmax, multiply_matrices
from blockwise.models.constants import DIVIDES, MULTIPLIES, is_map, parameter_of
from blockwise.models.editing import Editing, Shape, argument, known, name_of
from blockwise.models.masks import masked
from blockwise.models.reshaping import Expand
from blockwise.models.tokens import token_beside
from blockwise.models.written_out import number_of

PRODUCTS = ("matmul", "bmm")
SCALED = "scaled_dot_product_attention"
LEAST = 2
"""Dimensions of a matrix."""


class Attention(Editing):
    """Puts :func:`multiply_matrices` and :class:`RowSoftmax` in the place of what computes the same."""

    def run(self) -> None:
        """Node by node; then factors become those of the products."""
        for node in list(self.root.graph.nodes):
            called = name_of(node)
            if called in PRODUCTS and node.meta["shape"] is not None:
                if not _of_matrices(node):
                    raise self.refused(node, f"{called!r} with a matrix that stands outside a linear layer")
                left, right = self._maps(node, _pair(node))
                self._product(node, left, right)
            elif called == "softmax" and node.meta["shape"] is not None:
                self._softmax(node)
            elif called == SCALED:
                self._scaled(node)
        products = [node for node in self.root.graph.nodes if node.target is multiply_matrices]
        for node in products:
            self._take_factors(node)
        if products:  # what factors were multiplied by
            self.root.graph.eliminate_dead_code()

    def _maps(self, node: fx.Node, read: Sequence[fx.Node]) -> list[fx.Node]:
        """What attention reads; trained queries, the same for each image, as maps."""
        source = next(x for x in read if is_map(x))
        return [x if is_map(x) else token_beside(self, node, x, source, 1) for x in read]

    def _product(self, node: fx.Node, left: fx.Node, right: fx.Node, factor: float = 1.0) -> None:
        """Of matrices, as many of each."""
        shapes = [left.meta["shape"], right.meta["shape"]]
        if min(map(len, shapes)) < LEAST or len(shapes[0]) != len(shapes[1]):
            raise self.refused(node, f"a product of {shapes[0]} and {shapes[1]}")
        rows, columns = shapes[0][-2:], shapes[1][-2:]
        many = tuple(map(max, shapes[0][:-2], shapes[1][:-2]))
        left, right = self._as_many(node, left, (*many, *rows)), self._as_many(node, right, (*many, *columns))
        if left is right:
            right = self.insert(node, nn.Identity(), self.path_of(node, "again"), right, right.meta["shape"])
        node.op, node.target = "call_function", multiply_matrices
        node.args, node.kwargs = (left, right), {"factor": factor}

    def _as_many(self, node: fx.Node, source: fx.Node, shape: Shape) -> fx.Node:
        """One matrix may stand for all."""
        if source.meta["shape"] == shape:
            return source
        return self.insert(node, Expand(shape), self.path_of(node, "expand"), source, shape)

    def _softmax(self, node: fx.Node) -> None:
        """Along another dimension than the last it is that of the map with both exchanged."""
        source, rank = node.all_input_nodes[0], len(node.meta["shape"]) + 1
        dim = known(argument(node, "dim", 1))
        if not isinstance(dim, int) or dim % rank == 0:
            raise self.refused(node, f"a softmax along dimension {dim}")
        dim, path = dim % rank, self.path_of(node, "softmax")
        if dim == rank - 1:
            self.put(node, RowSoftmax(), path, source)
            return
        turned = self._turned(node, source, dim)
        shares = self.insert(node, RowSoftmax(), path, turned, turned.meta["shape"])
        node.op, node.target, node.args, node.kwargs = "call_method", "transpose", (shares, dim, rank - 1), {}

    def _turned(self, node: fx.Node, source: fx.Node, dim: int) -> fx.Node:
        """With the dimension in the place of the last, and the other way round."""
        shape = list(source.meta["shape"])
        shape[dim - 1], shape[-1] = shape[-1], shape[dim - 1]
        return self.before(node, "transpose", (source, dim, len(shape)), tuple(shape))

    def _scaled(self, node: fx.Node) -> None:
        """softmax(factor Q K^T) V, some of whose scores may be masked, with a dropout of the shares."""
        read = (argument(node, name, at) for at, name in enumerate(("query", "key", "value")))
        query, key, value = self._maps(node, [*read])
        if known(node.kwargs.get("enable_gqa", False)):
            raise self.refused(node, "attention of groups of queries")
        asked = known(node.kwargs.get("scale"))
        factor = 1 / math.sqrt(query.meta["shape"][-1]) if asked is None else float(asked)
        turned = self._turned(node, key, len(key.meta["shape"]) - 1)
        shape = (*query.meta["shape"][:-1], key.meta["shape"][-2])
        scores = self.before(node, "matmul", (query, turned), shape)
        self._product(scores, query, turned, factor)
        causal = bool(known(argument(node, "is_causal", 5, False)))
        scores = masked(self, node, scores, argument(node, "attn_mask", 3), causal=causal)
        shares = self.insert(node, RowSoftmax(), self.path_of(node, "softmax"), scores, shape)
        rate = float(known(argument(node, "dropout_p", 4, 0.0)))
        if rate:
            shares = self.insert(node, nn.Dropout(rate), self.path_of(node, "dropout"), shares, shape)
        self._product(node, shares, value)

    def _take_factors(self, node: fx.Node) -> None:
        """Numbers by which either input, or the product, is multiplied."""
        factor: float = known(node.kwargs["factor"])
        sources: list[Any] = list(node.args)
        for index, source in enumerate(sources):
            found = _factor(source)
            if found is not None and len(source.users) == 1:
                sources[index], by = found
                factor *= by
        while len(node.users) == 1:
            (user,) = node.users
            found = _factor(user)
            if found is None:
                break
            factor *= found[1]
            user.replace_all_uses_with(node)
            self.root.graph.erase_node(user)
        node.args, node.kwargs = tuple(sources), {"factor": factor}


def _of_matrices(node: fx.Node) -> bool:
    """Whether there are as many of each side, of an image or trained: a matrix of weights is no such."""
    sides = _pair(node)
    known_sides = all(is_map(x) or (isinstance(x, fx.Node) and parameter_of(x)) for x in sides)
    return known_sides and len({_rank(x) for x in sides}) == 1


def _rank(node: fx.Node) -> int:
    """With the batch."""
    shape = node.meta["shape"]
    return torch.as_tensor(node.meta["value"]).ndim if shape is None else len(shape) + 1


def _pair(node: fx.Node) -> Sequence[Any]:
    left = argument(node, "input", 0)
    return left, argument(node, "other", 1, node.kwargs.get("mat2"))


def _factor(node: fx.Node) -> tuple[fx.Node, float] | None:
    """What a node multiplies by a number, and that number; None for another node."""
    called = name_of(node)
    if called not in (*MULTIPLIES, *DIVIDES) or node.meta["shape"] is None:
        return None
    left, right = argument(node, "input", 0), argument(node, "other", 1)
    if called in MULTIPLIES and not is_map(left):
        left, right = right, left
    number = number_of(right)
    if not is_map(left) or not number or (isinstance(right, fx.Node) and parameter_of(right)):
        return None
    return left, (1 / number if called in DIVIDES else number)
