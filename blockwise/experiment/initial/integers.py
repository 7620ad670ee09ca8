"""Integer networks and the float ones that they are made like: weights from one to the other."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from blockwise.integer.layers import Weighted as IntegerWeighted
from blockwise.integer.layers import weighted
from blockwise.integer.net import IntegerNet
from blockwise.layers.weighted import Weighted
from blockwise.models import Chain
from blockwise.nets.blocks import BlockNet


def quantize_into(net: IntegerNet, blocks: BlockNet, *, heads: bool) -> None:
    """Give ``net`` the weights of the float network in the form of its arithmetic, perhaps of heads, too."""
    parts = [(net.bodies, blocks.bodies), *([(net.heads, blocks.heads)] if heads else [])]
    with torch.no_grad():
        for integers, floats in parts:
            for layer, module in _pairs(integers, floats):
                layer.weight.copy_(net.arithmetic.stored(module.weight, layer.place))


def floats_of(net: IntegerNet, chain: Chain, blocks: BlockNet) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What the weights of ``net`` mean, by the names of the chain's layers and of local heads."""
    names = {module: f"{name}.weight" for name, module in chain.units.named_modules()}
    names |= {module: f"{name}.weight" for name, module in blocks.heads.named_modules()}
    bodies, heads = (
        {names[module]: net.arithmetic.floats(layer.weight, layer.place) for layer, module in _pairs(*pair)}
        for pair in ((net.bodies, blocks.bodies), (net.heads, blocks.heads))
    )
    return bodies, heads


def biased(chain: Chain) -> bool:
    """Whether its layers have biases, which integers leave out."""
    return any(isinstance(m, Weighted) and m.bias is not None for m in chain.modules())


def _pairs(integers: nn.Module, floats: nn.Module) -> Iterator[tuple[IntegerWeighted, nn.Conv2d | nn.Linear]]:
    modules = [m for m in floats.modules() if isinstance(m, Weighted)]
    yield from zip(weighted(integers), modules, strict=True)
