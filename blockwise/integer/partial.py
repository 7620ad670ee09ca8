"""An integer network of which only a part is trained."""

from blockwise.integer.net import IntegerNet
from blockwise.integer.on_board.machine import placed_layers
from blockwise.nets.trainable import Part
from devices.network import Network
from devices.program.integer import integer_network


def restrict_integers(net: IntegerNet, network: Network) -> IntegerNet:
    """Train of ``net`` what ``network`` says; returns it. A layer that is not trained takes no step."""
    if not network.is_partial:
        return net
    trained = {layer.name: layer.trained.weights for layer in network.layers}
    for name, layer in placed_layers(net, integer_network(network)):
        layer.trained = trained.get(name, True)
    net.part = Part(frozenset(), (), tuple(i for i, block in enumerate(network.blocks) if block.learns))
    return net
