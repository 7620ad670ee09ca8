"""Which layers of a network are quantized at which width: the convention of first and last layers."""

from dataclasses import dataclass

from torch import nn

from devices.trace import kind_of_module

PASSIVE = ("view", "max_pool")
"""Kinds of layers that hand codes on as they are."""


@dataclass(frozen=True)
class Edges:
    """The layers at the edge of a network, by path.

    ``weights``: the first and the last layer with weights. ``activation``: the ReLU whose codes the
    last of them reads, or None if a pool stands between and the layer quantizes its own input.
    """

    weights: tuple[str, str]
    activation: str | None


def edges(model: nn.Module) -> Edges:
    """Find the edges of a model whose modules are registered in the order of execution."""
    kinds = {name: kind_of_module(module) for name, module in model.named_modules()}
    leaves = [(name, kind) for name, kind in kinds.items() if kind is not None]
    weighted = [i for i, (_, kind) in enumerate(leaves) if kind in ("conv", "linear")]
    first, last = weighted[0], weighted[-1]
    before = last - 1
    while before > first and leaves[before][1] in PASSIVE:
        before -= 1
    name, kind = leaves[before]
    return Edges((leaves[first][0], leaves[last][0]), name if kind == "relu" else None)
