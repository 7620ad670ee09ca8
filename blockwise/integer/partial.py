"""An integer network of which only a part is trained."""

from blockwise.integer.layers import weighted
from blockwise.integer.net import IntegerNet
from blockwise.integer.shares import Share
from blockwise.nets.trainable import Part
from devices.network import Network
from devices.program.integer import integer_network


def restrict_integers(net: IntegerNet, network: Network) -> IntegerNet:
    """Train of ``net`` what ``network`` says; returns it. A layer that is not trained takes no step.

    Heads are trained where their blocks are, of which a block of chosen biases is none; under one loss those
    of ``net`` need not be ``network``'s.
    """
    if not network.is_partial:
        return net
    blocks = integer_network(network).blocks
    for index, block in enumerate(blocks):
        layers = [layer for layer in block.layers if layer.weights]
        for layer, module in zip(layers, weighted(net.body(index)), strict=True):
            module.trained = layer.trained.weights
            module.share = Share.of(layer, module.place)
    net.part = Part(frozenset(), (), tuple(i for i, block in enumerate(blocks) if block.learns))
    return net
