"""The module of each layer that a plan names."""

from collections.abc import Iterable, Iterator

from torch import nn

from blockwise.nets.blocks import BlockNet
from blockwise.nets.chain import Chain

INPUT = ".input"
"""Behind the name of a layer: the quantizer of what it reads."""


def modules_of(chain: Chain, net: BlockNet, layers: Iterable[str]) -> Iterator[tuple[str, nn.Module]]:
    """The module of each layer that has one; a quantizer of what a layer reads is its layer's."""
    roots = {name: unit for name, unit in chain.units.items()}
    for index in range(len(net)):
        roots[f"{net.last_units[index]}.head"] = net.head(index)
    for name in layers:
        path = name.removesuffix(INPUT)
        root = max((r for r in roots if path.startswith(f"{r}.")), key=len, default=None)
        if root is None:
            continue
        try:
            module = roots[root].get_submodule(path[len(root) + 1 :])
        except AttributeError:  # a function, as a sum
            continue
        yield name, module.input_quantizer if name != path else module  # type: ignore[misc]
