"""Which layers of a network are quantized at which width, and where: its edges and its skip paths."""

from dataclasses import dataclass

from torch import nn

from devices.network import skipping
from devices.network.ops import Op, ReLU
from devices.network.trace import links, op_class


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
    found = {name: op_class(module) for name, module in model.named_modules()}
    leaves = [(name, op) for name, op in found.items() if op is not None]
    weighted = [i for i, (_, op) in enumerate(leaves) if op.accumulates]
    first, last = weighted[0], weighted[-1]
    before = last - 1
    while before > first and _passes(leaves[before][1]):
        before -= 1
    name, op = leaves[before]
    return Edges((leaves[first][0], leaves[last][0]), name if issubclass(op, ReLU) else None)


def _passes(op: type[Op]) -> bool:
    """Whether it hands the codes of a tensor on as they are."""
    return op.passes_codes and op.skips


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
    activations = frozenset(name for name in floats if name in makers and isinstance(makers[name].op, ReLU))
    readers = set()
    for layer in layers:
        source = layer.inputs[0] if layer.weights else ""
        while source in makers and _passes(type(makers[source].op)):
            source = makers[source].inputs[0]
        if source in activations:
            readers.add(layer.name)
    return Skips(activations, frozenset(readers))
