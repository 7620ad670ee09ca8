"""The rows of a training step, read off its plan."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from blockwise.experiment.step_rows import LayerRow, PlacedTensor
from devices.network import Layer
from devices.network.bits import Bits
from devices.planning import Plan
from devices.program.categories import OPTIMIZER_STATE, SAVED_ACTIVATIONS, WEIGHT_GRADIENTS


def placed_tensors(plan: Plan) -> tuple[PlacedTensor, ...]:
    """Every tensor that the step has in RAM, in the order of the program."""
    places, lifetimes, alignment = plan.placement.places, plan.schedule.lifetimes, plan.device.alignment_bytes
    return tuple(
        PlacedTensor(
            name, t.owner, t.category, t.shape, t.bits, t.aligned_bytes(alignment),
            places[name].run, places[name].offset, places[name].address, *lifetimes[name],
        )
        for name, t in plan.schedule.tensors.items()
        if name in lifetimes
    )  # fmt: skip


def layer_rows(plan: Plan, tensors: Iterable[PlacedTensor], bits: Bits | None) -> tuple[LayerRow, ...]:
    """The layers with tensors in the step, in order; ``bits`` are those of weights beside a latent copy."""
    layers = plan.schedule.layers
    own: dict[str, list[PlacedTensor]] = defaultdict(list)
    for tensor in tensors:
        own[_layer_of(tensor.name, layers)].append(tensor)
    peak = plan.ledger.peak_index
    return tuple(_row(layer, own[name], bits, peak) for name, layer in layers.items() if own[name])


def _layer_of(tensor: str, layers: Mapping[str, Layer]) -> str:
    """The layer after which a tensor is named: stem.conv.weight.state1 is of stem.conv."""
    name = tensor
    while name and name not in layers:
        name = name.rpartition(".")[0]
    return name


def _row(layer: Layer, own: list[PlacedTensor], bits: Bits | None, peak: int) -> LayerRow:
    stored = {tensor.name: tensor.bits for tensor in own}
    weight = bits.weight_of(layer) if bits else stored.get(f"{layer.name}.weight")
    return LayerRow(
        name=layer.name,
        kind=layer.kind,
        owner=own[0].owner,
        shape=layer.shape,
        weight_bits=weight if layer.weights else None,
        output_bits=stored.get(f"{layer.name}.out"),
        parameters=0 if layer.weights_of else layer.weights + layer.biases,
        macs=layer.macs,
        saved_bytes=_bytes(own, SAVED_ACTIVATIONS),
        gradient_bytes=_bytes(own, WEIGHT_GRADIENTS),
        optimizer_bytes=_bytes(own, OPTIMIZER_STATE),
        peak_bytes=sum(tensor.bytes for tensor in own if tensor.first <= peak <= tensor.last),
    )


def _bytes(own: list[PlacedTensor], category: str) -> int:
    """Of a category, each tensor once: name#2 is the same tensor, made anew."""
    sizes = {t.name.partition("#")[0]: t.bytes for t in own if t.category == category}
    return sum(sizes.values())
