"""Activations that are written out: products in which an activation of the library is recognised.

``x * F.relu6(x + 3) / 6`` is a hard swish, ``x * torch.sigmoid(x)`` a SiLU, ``0.5 * x * (1 + torch.erf(x /
sqrt(2)))`` a GELU, ``x * torch.tanh(F.softplus(x))`` a Mish, ``F.relu6(x + 3) / 6`` a hard sigmoid. As one
activation each has one quantizer and keeps one map.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from blockwise.models.constants import ADDS, DIVIDES, MULTIPLIES
from blockwise.models.editing import Editing, argument, name_of

Gate = tuple[str, fx.Node]
"""The kind of a factor that depends on another one, and that one."""

NEAR = 1e-3
"""Of constants that are written with few digits, relatively."""

ACTIVATIONS: dict[tuple[str, float], Callable[..., Any]] = {
    ("sigmoid", 1.0): F.silu,
    ("hard sigmoid", 1.0): F.hardswish,
    ("relu6 of x + 3", 1 / 6): F.hardswish,
    ("1 + erf", 0.5): F.gelu,
    ("tanh of softplus", 1.0): F.mish,
}
"""x times a gate of x, times a constant."""
ALONE: dict[tuple[str, float], Callable[..., Any]] = {("relu6 of x + 3", 1 / 6): F.hardsigmoid}
"""A gate times a constant."""


class WrittenOut(Editing):
    """Puts the activation in the place of the product."""

    def run(self) -> None:
        """Hard sigmoids first, which may be gates."""
        for table in (ALONE, ACTIVATIONS):
            for node in list(self.root.graph.nodes):
                if name_of(node) in (*MULTIPLIES, *DIVIDES) and node.meta["shape"] is not None:
                    self._product(node, table)
            for node in reversed(self.root.graph.nodes):
                if node.meta.get("part of an activation") and not node.users:
                    self.root.graph.erase_node(node)

    def _product(self, node: fx.Node, table: dict[tuple[str, float], Callable[..., Any]]) -> None:
        constant, factors, inner = self._factors(node)
        pairs = [(gate, x) for gate in factors for x in factors if gate is not x]
        for gate, x in [(g, None) for g in factors] if table is ALONE else pairs:
            found = self._gate(gate)
            if len(factors) != (1 if x is None else 2) or found is None or x not in (None, found[1]):
                continue
            called = next((f for (k, c), f in table.items() if k == found[0] and _near(c, constant)), None)
            if called is not None:
                self._replace(node, called, found[1], [*inner, *self._way(gate, found[1])])
                return

    def _factors(self, node: fx.Node) -> tuple[float, list[fx.Node], list[fx.Node]]:
        """A product as a number, maps that are multiplied, and products on the way that nobody else reads."""
        number, maps, inner = 1.0, list[fx.Node](), list[fx.Node]()
        called, (left, right) = name_of(node), (argument(node, "input", 0), argument(node, "other", 1))
        for position, x in enumerate((left, right)):
            value = number_of(x)
            divides = position == 1 and called in DIVIDES
            if value is not None and (value or not divides):
                number *= 1 / value if divides else value
            elif not isinstance(x, fx.Node) or divides:
                return 0.0, [], []
            elif name_of(x) in (*MULTIPLIES, *DIVIDES) and len(x.users) == 1 and x.meta["shape"] is not None:
                more, found, within = self._factors(x)
                number, maps, inner = number * more, [*maps, *found], [*inner, x, *within]
            else:
                maps.append(x)
        return number, maps, inner

    def _gate(self, node: fx.Node) -> Gate | None:
        """Which gate a factor is, and of what."""
        called = self._called(node)
        if called in ("sigmoid", "hardsigmoid"):
            return called.replace("hards", "hard s"), node.all_input_nodes[0]
        if called == "relu6":
            found = self._plus(node.all_input_nodes[0], 3)
            return None if found is None else ("relu6 of x + 3", found)
        if called == "tanh" and self._called(node.all_input_nodes[0]) == "softplus":
            return "tanh of softplus", node.all_input_nodes[0].all_input_nodes[0]
        inside = self._plus(node, 1)
        if inside is not None and self._called(inside) == "erf":
            constant, maps, _ = self._factors(inside.all_input_nodes[0])
            if len(maps) == 1 and _near(constant, math.sqrt(0.5)):
                return "1 + erf", maps[0]
        return None

    def _plus(self, node: fx.Node, number: float) -> fx.Node | None:
        """What ``number`` is added to, if that is all that happens."""
        if name_of(node) not in ADDS or node.kwargs.get("alpha", 1) != 1:
            return None
        both = argument(node, "input", 0), argument(node, "other", 1)
        found = [x for x in both if number_of(x) is None]
        return found[0] if len(found) == 1 and number in map(number_of, both) else None

    def _called(self, node: fx.Node) -> str:
        """The name of a function, or of the module that does it."""
        if node.op == "call_module":
            module = self.root.get_submodule(str(node.target))
            limits = (getattr(module, "min_val", None), getattr(module, "max_val", None))
            if isinstance(module, nn.Hardtanh):
                return "relu6" if limits == (0, 6) else ""
            if isinstance(module, nn.Softplus):
                return "softplus" if module.beta == 1 else ""
            return type(module).__name__.lower()
        called = name_of(node).strip("_")
        if called in ("clamp", "clip", "hardtanh"):
            bounds = (("min", "max"), ("min_val", "max_val"))[called == "hardtanh"]
            low, high = (argument(node, name, at) for at, name in enumerate(bounds, 1))
            return "relu6" if (low, high) == (0, 6) else ""
        if called == "softplus":
            return called if argument(node, "beta", 1) in (None, 1) else ""
        return called

    def _way(self, gate: fx.Node, x: fx.Node) -> list[fx.Node]:
        """What stands between the gate and what it is of."""
        return [] if gate is x else [gate, *(n for s in gate.all_input_nodes for n in self._way(s, x))]

    def _replace(self, node: fx.Node, called: Callable[..., Any], x: fx.Node, before: list[fx.Node]) -> None:
        for inner in before:
            inner.meta["part of an activation"] = True
        node.op, node.target, node.args, node.kwargs = "call_function", called, (x,), {}


def number_of(value: Any) -> float | None:
    """An operand that is one number for the whole map; None for anything else."""
    if isinstance(value, fx.Node):
        found = value.meta.get("value")
        if value.meta.get("trained") or not isinstance(found, torch.Tensor | int | float):
            return None
        value = found
    if isinstance(value, torch.Tensor):
        return float(value) if value.numel() == 1 and not value.is_meta else None
    return float(value) if isinstance(value, int | float) else None


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= NEAR * abs(b)
