"""Which layers of a network are quantized at which width, and where: its edges and its skip paths."""

from dataclasses import dataclass

from torch import nn

from devices.network import DROPOUTS, skipping
from devices.network.trace import kind_of_module, links

PASSIVE = ("view", "max_pool", *DROPOUTS)
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


@dataclass(frozen=True)
class Skips:
    """The skip paths of a network whose floats residual sums read, by path.

    ``activations`` are the ReLUs that they start from; ``readers`` the layers with weights that read the
    same tensors, of which they make codes.
    """

    activations: frozenset[str] = frozenset()
    readers: frozenset[str] = frozenset()


def skips(model: nn.Module) -> Skips:
    """Find the skip paths of a model. Raises InputError if torch.fx cannot trace it."""
    layers = links(model, type(model).__name__)
    makers, floats = {layer.name: layer for layer in layers}, skipping(layers)
    activations = frozenset(name for name in floats if name in makers and makers[name].kind == "relu")
    readers = set()
    for layer in layers:
        source = layer.inputs[0] if layer.weights else ""
        while source in makers and makers[source].kind in PASSIVE:
            source = makers[source].inputs[0]
        if source in activations:
            readers.add(layer.name)
    return Skips(activations, frozenset(readers))
