"""Places of a map that are given a number, as scores are that a softmax is not to see.

A mask is the same for each image. ``where`` and a mask of attention are written as fills; a fill is a
constant factor, 0 in such places, and a constant summand, the number.
"""

import math
from typing import Any

import torch
from torch import Tensor, fx

from blockwise.layers.attention import seen_in_order
from blockwise.models.constants import constant_beside, fixed, is_map, parameter_of
from blockwise.models.editing import Editing, Shape, argument, name_of

FILLS = ("masked_fill", "masked_fill_")
LIKE = {"zeros_like": 0.0, "ones_like": 1.0}
"""Maps of one number."""


class Choices(Editing):
    """Writes ``where`` of a map and a number as a fill."""

    def run(self) -> None:
        """Each that has this form; the rest is refused behind."""
        for node in list(self.root.graph.nodes):
            if name_of(node) == "where" and node.meta["shape"] is not None:
                self._choice(node, *_branches(node))

    def _choice(self, node: fx.Node, condition: Any, chosen: Any, other: Any) -> None:
        numbers = [_number(chosen), _number(other)]
        if is_map(condition) or numbers.count(None) != 1:
            return
        source, number = (chosen, numbers[1]) if numbers[0] is None else (other, numbers[0])
        mask = torch.as_tensor(condition.meta["value"])
        filled = self.constant(node, ~mask if source is chosen else mask)
        if source.meta["shape"] != node.meta["shape"]:
            raise self.refused(node, f"a choice of {node.meta['shape']} from a map of {source.meta['shape']}")
        node.op, node.target, node.args, node.kwargs = "call_method", FILLS[0], (source, filled, number), {}
        for x in (chosen, other):
            if isinstance(x, fx.Node) and name_of(x) in (*LIKE, "full_like") and not x.users:
                self.root.graph.erase_node(x)


def masked(editing: Editing, node: fx.Node, scores: fx.Node, mask: Any, *, causal: bool) -> fx.Node:
    """``scores`` (..., N, M) without those that ``node``, an attention, is not to see.

    ``mask`` is None, True where they are seen, or a summand. Raises InputError for one of the input.
    """
    shape: Shape = scores.meta["shape"]
    if causal:
        mask = editing.constant(node, seen_in_order(*shape[-2:]))
    if mask is None:
        return scores
    if is_map(mask):
        raise editing.refused(node, "attention with a mask that its input tells")
    value = torch.as_tensor(mask.meta["value"])
    if value.dtype != torch.bool:
        return editing.before(node, "add", (scores, mask), shape)
    return editing.before(node, FILLS[0], (scores, editing.constant(node, ~value), -math.inf), shape)


def fill(editing: Editing, node: fx.Node) -> None:
    """Let ``node``, a fill, call a module. Raises InputError for a mask or a number that changes."""
    source, mask, given = (argument(node, name, at) for at, name in enumerate(("input", "mask", "value")))
    number = _number(given)
    if is_map(mask) or number is None:
        raise editing.refused(node, f"{name_of(node)!r} by a mask or a number that is not constant")
    constant = constant_beside(editing, node, mask, source)
    filled = constant.value.reshape(-1) != 0
    sides = constant.sides or (() if constant.value.ndim else (1,) * len(source.meta["shape"]))
    shift = torch.where(filled, torch.tensor(number), torch.zeros(()))
    editing.put(node, fixed((~filled).float(), shift, sides), editing.path_of(node, "mask"), source)


def _branches(node: fx.Node) -> tuple[Any, Any, Any]:
    """Condition, what is chosen where it holds, and what elsewhere."""
    if node.op == "call_method":  # of what is chosen
        return argument(node, "condition", 1), node.args[0], argument(node, "other", 2)
    chosen = argument(node, "input", 1, node.kwargs.get("self"))
    return argument(node, "condition", 0), chosen, argument(node, "other", 2)


def _number(given: Any) -> float | None:
    """What a map is filled with; None for another map, and for several numbers."""
    if not isinstance(given, fx.Node):
        return float(given)
    if given.meta["shape"] is None:
        value: Tensor = torch.as_tensor(given.meta["value"]).detach().flatten()
        alike = bool(value.numel() and (value == value[0]).all()) and parameter_of(given) is None
        return float(value[0]) if alike else None
    filled = argument(given, "fill_value", 1) if name_of(given) == "full_like" else LIKE.get(name_of(given))
    return None if filled is None else _number(filled)
