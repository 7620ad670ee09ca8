"""A network in blocks of which only a part is trained: its parameters, and what of it is at rest."""

from collections.abc import Iterator

from torch import Tensor, nn

from blockwise.layers.weighted import Weighted
from blockwise.nets.blocks import BlockNet
from blockwise.nets.chain import Chain
from blockwise.nets.modules import modules_of
from blockwise.nets.trainable import Part
from blockwise.quant.layers import QuantWeighted
from devices.network import Network
from devices.network.trained import Trained


def restrict(net: BlockNet, chain: Chain, network: Network) -> BlockNet:
    """Train of ``net``, whose modules are those of ``chain``, what ``network`` says; returns it."""
    if not network.is_partial:
        return net
    names = {id(module): name for name, module in net.named_modules()}
    parameters = {id(parameter): name for name, parameter in net.named_parameters()}
    trained, resting, told = set[str](), list[str](), set[int]()
    facts = {layer.name: layer.trained for layer in network.layers}
    for layer, module in modules_of(chain, net, facts):
        for part, is_trained in _parts(module, facts[layer]):
            if id(part) in told:  # a quantizer of what several layers read is the first one's
                continue
            told.add(id(part))
            if isinstance(part, Tensor):
                trained.update({parameters[id(part)]} if is_trained else ())
                continue
            trained.update(parameters[id(p)] for p in part.parameters() if is_trained)
            resting += [] if is_trained else [names[id(part)]]
    blocks = tuple(i for i, block in enumerate(network.blocks) if block.learns)
    net.part = Part(frozenset(trained), tuple(resting), blocks)
    return net


def _parts(module: nn.Module, trained: Trained) -> Iterator[tuple[nn.Module | Tensor, bool]]:
    """The parameters and modules that a layer is made of, each with whether it is trained."""
    if isinstance(module, Weighted):
        yield module.weight, trained.weights
        if module.bias is not None:
            yield module.bias, trained.biases
        if isinstance(module, QuantWeighted):
            yield module.weight_quantizer, trained.weights
            if module.input_quantizer is not None:
                yield module.input_quantizer, trained.weights
        return
    is_norm = isinstance(getattr(module, "weight", None), nn.Parameter)
    yield module, trained.biases if is_norm else trained.weights
