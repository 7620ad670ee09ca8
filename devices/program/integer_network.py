"""A network as integer training has it: where sums become codes, and which have 8 bits in every form."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from devices.network import Block, Layer, Network
from devices.network.layers import Precision
from devices.network.ops import AdaptiveAvgPool, AvgPool, MaxPool, Quantize, ReLU, View


def integer_network(network: Network) -> Network:
    """No biases, sums requantized wherever no activation does it, 8 bits at the ends and in heads.

    An activation behind a max pool of sums stands before it, which is the same function; one that finds
    nothing below zero is none. A network that is so already stays as it is.
    """
    network = _activations_at_sums(network)
    codes = _requantized(network.all_layers)
    relus = [layer.name for layer in network.layers if isinstance(layer.op, ReLU)]
    wide = relus[-1] if relus else ""

    def converted(layers: Sequence[Layer], *, head: bool) -> tuple[Layer, ...]:
        found = []
        for layer in layers:
            mean = isinstance(layer.op, AvgPool | AdaptiveAvgPool)
            edge = head or mean or layer.name == wide or layer.precision == "edge"
            inputs = tuple(codes[name].name if name in codes else name for name in layer.inputs)
            precision: Precision = "edge" if edge else "inner"
            found.append(replace(layer, op=layer.op.without_bias(), inputs=inputs, precision=precision))
            found += [codes[layer.name]] if layer.name in codes else []
        return tuple(found)

    blocks = (
        Block(b.name, converted(b.layers, head=False), converted(b.head, head=True)) for b in network.blocks
    )
    return Network(network.in_shape, tuple(blocks), network.source)


def sums_behind(layer: Layer, makers: Mapping[str, Layer]) -> Layer | None:
    """The layer whose sums the layer requantizes, which views may stand between."""
    maker = makers.get(layer.inputs[0])
    while maker is not None and isinstance(maker.op, View):
        maker = makers.get(maker.inputs[0])
    return maker if maker is not None and maker.op.accumulates else None


def _requantized(layers: Sequence[Layer]) -> dict[str, Layer]:
    """Layer whose sums no activation makes codes of -> what does."""
    makers = {layer.name: layer for layer in layers}
    coders = (layer for layer in layers if layer.op.makes_codes)
    done = {found.name for coder in coders if (found := sums_behind(coder, makers)) is not None}
    scored = {name for layer in layers if layer.op.is_loss for name in layer.inputs}
    return {
        layer.name: Layer(
            f"{layer.name}.{'logits' if layer.name in scored else 'codes'}", Quantize(), (layer.name,),
            layer.shape, precision="edge", trained=layer.trained,
        )
        for layer in layers
        if layer.op.accumulates and layer.name not in done
    }  # fmt: skip


def _activations_at_sums(network: Network) -> Network:
    """Each block's activations right behind the sums that they make codes of."""
    makers, moved, blocks = dict[str, Layer](), dict[str, str](), list[Block]()
    for block in network.blocks:
        layers = _reading(block.layers, moved)
        for name in [layer.name for layer in layers if isinstance(layer.op, ReLU)]:
            makers |= {layer.name: layer for layer in layers}
            relu = makers[name]
            path = _path_to(relu, makers)
            pool = next((layer for layer in path if isinstance(layer.op, MaxPool)), None)
            if path and _positive(path[0], makers):
                layers[layers.index(relu)] = replace(relu, op=View())
            elif pool in layers and path[0].op.accumulates:
                layers, moved[name] = _before(pool, relu, path, layers), path[-1].name
        makers |= {layer.name: layer for layer in layers}
        blocks.append(replace(block, layers=tuple(layers), head=tuple(_reading(block.head, moved))))
    return replace(network, blocks=tuple(blocks))


def _reading(layers: Sequence[Layer], moved: Mapping[str, str]) -> list[Layer]:
    """The layers, which read what stands where those stood that have moved."""
    return [replace(x, inputs=tuple(moved.get(name, name) for name in x.inputs)) for x in layers]


def _path_to(layer: Layer, makers: Mapping[str, Layer]) -> list[Layer]:
    """What the layer reads, max pools and views, up to the first other layer; empty if that is the input."""
    path: list[Layer] = []
    while layer.inputs[0] in makers:
        layer = makers[layer.inputs[0]]
        path.insert(0, layer)
        if not isinstance(layer.op, View | MaxPool):
            return path
    return []


def _positive(layer: Layer, makers: Mapping[str, Layer]) -> bool:
    """Whether nothing that the layer makes is below zero."""
    if isinstance(layer.op, View | MaxPool | AvgPool | AdaptiveAvgPool):
        return layer.inputs[0] in makers and _positive(makers[layer.inputs[0]], makers)
    return isinstance(layer.op, ReLU)


def _before(pool: Layer, relu: Layer, path: Sequence[Layer], layers: Sequence[Layer]) -> list[Layer]:
    """The layers with the activation before the first max pool of the path that leads to it."""
    shape, found = path[path.index(pool) - 1].shape, []
    for layer in _reading([x for x in layers if x != relu], {relu.name: path[-1].name}):
        if layer.name == pool.name:
            found += [replace(relu, inputs=pool.inputs, shape=shape), replace(pool, inputs=(relu.name,))]
        else:
            found.append(layer)
    return found
