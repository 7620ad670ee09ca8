"""nn.MultiheadAttention in exported programs: many operations with the batch second, one module again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, fx, nn

from blockwise.layers.attention import seen_in_order
from blockwise.models.files.aten import arguments, aten_name
from blockwise.models.multihead import MATRIX, SelfAttention

CLASS = "torch.nn.modules.activation.MultiheadAttention"
NAMES = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")


@dataclass(frozen=True)
class Region:
    """The operations of one such module, which read ``source`` and make ``made``.

    ``parameters`` are the nodes of :data:`NAMES`, those that are there; ``width`` is that of a head, ``mask``
    what of no input is added to scores or tells where they count, if not ``causal`` does.
    """

    path: str
    nodes: tuple[fx.Node, ...]
    source: fx.Node
    made: fx.Node
    parameters: Mapping[str, fx.Node]
    width: int
    dropout: float
    mask: fx.Node | None = None
    causal: bool = False

    def module(self, values: Mapping[str, Tensor], mask: Tensor | None) -> nn.Module:
        """With its parameters, by :data:`NAMES`, and the value of the mask, if there is one.

        Raises LookupError for masks that differ from head to head.
        """
        width = values["in_proj_weight"].shape[1]
        biased = "in_proj_bias" in values
        made = OfOneSequence(width, width // self.width, self.dropout, biased, batch_first=True)
        tokens = self.source.meta["val"].shape[1]
        if self.causal:
            mask = seen_in_order(tokens, tokens)
        if mask is not None:
            made.mask = _of_all_heads(mask, tokens)
        with torch.no_grad():
            for name, value in values.items():
                made.get_parameter(name).copy_(value)
        return made


class OfOneSequence(SelfAttention):
    """(B, N, C) -> the same shape."""

    mask: Tensor | None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register_buffer("mask", None)

    def forward(self, x: Tensor) -> Any:  # type: ignore[override]
        """Of a sequence with itself."""
        return super().forward(x, x, x, attn_mask=self.mask)[0]


def regions(graph: fx.Graph) -> Iterator[Region]:
    """Of all such modules of a program that attend to one sequence, which has its batch first."""
    calls = (node for node in graph.nodes if node.op == "call_function")
    for path, nodes in groupby(calls, _path):
        found = _region(path, tuple(nodes)) if path is not None else None
        if found is not None:
            yield found


def _path(node: fx.Node) -> str | None:
    """Of the module in whose code the node stands, if it is of the class."""
    stack = [*node.meta.get("nn_module_stack", {}).values()]
    inner = [path for path, kind in stack if str(kind).endswith(CLASS)]
    return inner[-1] if inner else None


def _region(path: str, nodes: tuple[fx.Node, ...]) -> Region | None:
    linear = [node for node in nodes if aten_name(node) == "linear"]
    made = [node for node in nodes if _rank(node) and any(user not in nodes for user in node.users)]
    outside = {x for node in nodes for x in node.all_input_nodes if x not in nodes}
    maps = [node for node in outside if _rank(node) == SEQUENCE]
    views = [node for node in nodes if aten_name(node) == "view" and _rank(node) == SEQUENCE]
    widths = [node.meta["val"].shape[-1] for node in views]
    if 2 * len(linear) != len(NAMES) or len(made) != 1 or len(maps) != 1 or not widths:
        return None
    given = [arguments(node).get(name) for node in linear for name in ("weight", "bias")]
    parameters = {name: x for name, x in zip(NAMES, given, strict=True) if isinstance(x, fx.Node)}
    weight = parameters["in_proj_weight"].meta["val"]
    joins = weight.shape[0] == 3 * weight.shape[1]  # queries, keys and values
    if not joins or ("in_proj_bias" in parameters) != ("out_proj.bias" in parameters):
        return None
    masks, causal = _masks(nodes, maps[0])
    if len(masks) > 1:
        return None
    mask = masks[0] if masks else None
    return Region(
        path, nodes, maps[0], made[0], parameters, min(widths), _dropout(nodes), mask, causal=causal
    )


def _rank(node: Any) -> int:
    """Of a tensor; 0 for a number."""
    value = node.meta.get("val") if isinstance(node, fx.Node) else None
    return value.ndim if isinstance(value, Tensor) else 0


SEQUENCE = 3
"""Dimensions of a batch of tokens."""


def _masks(nodes: tuple[fx.Node, ...], source: fx.Node) -> tuple[list[fx.Node], bool]:
    """What does not depend on ``source`` and meets scores, and whether a mask of the operation's own does."""
    maps, masks, causal = {source}, list[fx.Node](), False
    for node in nodes:
        if maps.isdisjoint(node.all_input_nodes):
            continue
        maps.add(node)
        given, names = arguments(node), MASKS.get(aten_name(node), ())
        causal = causal or (SCALED in aten_name(node) and bool(given.get("is_causal", False)))
        asked = [given[name] for name in names if _rank(given.get(name)) >= MATRIX]
        masks += [x for x in asked if x not in maps]
    return masks, causal


SCALED = "scaled_dot_product_attention"
MASKS = {SCALED: ("attn_mask",), "baddbmm": ("self",), "add": ("self", "other")}
"""Operations by which scores are masked, and the names of the mask among their arguments."""


def _of_all_heads(mask: Tensor, tokens: int) -> Tensor:
    """(..., N, N), True where scores count, or summands of them -> (N, N), as the class has it."""
    each = mask.expand(*mask.shape[:-2], tokens, tokens).reshape(-1, tokens, tokens)
    if not torch.equal(each, each[:1].expand_as(each)):
        raise LookupError("masks of heads")
    return ~each[0] if mask.dtype == torch.bool else each[0]


def _dropout(nodes: tuple[fx.Node, ...]) -> float:
    """The rate by which shares are dropped."""
    names = {"scaled_dot_product_attention": "dropout_p", "dropout": "p"}
    asked = [(node, names[aten_name(node)]) for node in nodes if aten_name(node) in names]
    return max((float(arguments(node).get(name, 0.0)) for node, name in asked), default=0.0)
