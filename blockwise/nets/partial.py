"""A network in blocks of which only a part is trained: its parameters, and what of it is at rest."""

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor, nn

from blockwise.layers.weighted import Weighted
from blockwise.nets.blocks import BlockNet
from blockwise.nets.chain import Chain
from blockwise.nets.modules import modules_of
from blockwise.nets.trainable import Part, TrainableNet
from blockwise.quant import ParameterRules
from blockwise.quant.layers import QuantWeighted
from blockwise.quant.parameter_rules import Constraint
from devices.network import Layer, Network
from devices.network.ops import ShiftedNorm


def restrict(net: BlockNet, chain: Chain, network: Network) -> BlockNet:
    """Train of ``net``, whose modules are those of ``chain``, what ``network`` says; returns it."""
    if not network.is_partial:
        return net
    names = {id(module): name for name, module in net.named_modules()}
    parameters = {id(parameter): name for name, parameter in net.named_parameters()}
    trained, resting, shares, told = set[str](), list[str](), list[tuple[str, int, int]](), set[int]()
    layers = {layer.name: layer for layer in network.layers}
    for name, module in modules_of(chain, net, layers):
        layer = layers[name]
        for part, is_trained in _parts(module, layer):
            if id(part) in told:  # a quantizer of what several layers read is the first one's
                continue
            told.add(id(part))
            if isinstance(part, Tensor):
                trained.update({parameters[id(part)]} if is_trained else ())
                continue
            trained.update(parameters[id(p)] for p in part.parameters() if is_trained)
            resting += [] if is_trained else [names[id(part)]]
        if layer.is_shared and isinstance(module, Weighted):
            shares.append((parameters[id(module.weight)], layer.trained_outputs, layer.trained_inputs))
    blocks = tuple(i for i, block in enumerate(network.blocks) if block.learns)
    net.part = Part(frozenset(trained), tuple(resting), blocks, tuple(shares))
    return net


def _parts(module: nn.Module, layer: Layer) -> Iterator[tuple[nn.Module | Tensor, bool]]:
    """The parameters and modules that a layer is made of, each with whether it is trained."""
    trained = layer.trained
    if isinstance(module, Weighted):
        yield module.weight, trained.weights
        if module.bias is not None:
            yield module.bias, trained.biases
        if isinstance(module, QuantWeighted):
            yield module.weight_quantizer, trained.levels
            if module.input_quantizer is not None:
                yield module.input_quantizer, trained.levels
        return
    if isinstance(layer.op, ShiftedNorm):
        assert isinstance(module.bias, Tensor)
        yield module.bias, True
        yield module, False
        return
    learns = any(isinstance(getattr(module, name, None), nn.Parameter) for name in ("weight", "bias"))
    yield module, trained.biases if learns else trained.levels


def holding(net: TrainableNet, rules: ParameterRules) -> ParameterRules:
    """The rules with which those channels stay as they are that are not trained."""
    if net.part is None or not net.part.shares:
        return rules
    constraints = dict(rules.constraints)
    for name, outputs, inputs in net.part.shares:
        weight = net.get_parameter(name)
        constraints[weight] = _held(weight, outputs, inputs, constraints.get(weight))
    return replace(rules, constraints=constraints)


def _held(weight: Tensor, outputs: int, inputs: int, also: Constraint | None) -> Constraint:
    """Gives all but the first channels the values that they have now."""
    first = weight.detach().clone()

    def constrain(latent: Tensor) -> None:
        if also is not None:
            also(latent)
        latent[outputs:] = first[outputs:]
        latent[:, inputs:] = first[:, inputs:]

    return constrain
