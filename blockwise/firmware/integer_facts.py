"""What an integer regime's firmware has to know beside its schedule."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from blockwise.firmware.float_facts import without_form
from blockwise.integer.arithmetic import Arithmetic, Place
from blockwise.integer.layers import Weighted, weighted
from blockwise.integer.net import FIRST_STREAM, IntegerNet
from blockwise.integer.on_board import stored
from blockwise.training.options import Perturbation
from devices.network import Layer, Network
from devices.network.ops import Conv, MaxPool
from devices.program.regimes import Regime
from devices.program.schedule import Schedule

MOST_PLACES = 256
"""Of a window, that a byte tells."""


@dataclass(frozen=True, eq=False)
class DirectionFacts:
    """How a zeroth-order regime steps: its first ``front`` blocks, whose layers have ``numbers``.

    Their rate has ``more_bits`` than that of the blocks behind them.
    """

    told: Perturbation
    front: int
    numbers: Mapping[str, int]
    more_bits: int


MOST_PLACES = 256
"""Of a window, that a byte tells."""


@dataclass(frozen=True, eq=False)
class IntegerFacts:
    """The arithmetic; of each layer with weights that the step holds, where it stands and its stream.

    Layers are in the order of the digest: bodies before heads.
    """

    arithmetic: Arithmetic
    places: Mapping[str, Place]
    streams: Mapping[str, int]
    mu: int  # the first
    directions: DirectionFacts | None = None  # of a zeroth-order regime
    jump_every: int = 1  # batches behind which states of weights jump


def check_layers(network: Network) -> None:
    """Raise InputError for a layer whose geometry has no C form."""
    for layer in network.all_layers:
        spelt = _without_kernel(layer)
        if spelt:
            raise without_form(
                f"layer {layer.name}", spelt,
                "convolutions of signals and maps, pools over at most 256 values",
                "use another network",
            )  # fmt: skip


def _without_kernel(layer: Layer) -> str:
    op = layer.op
    if isinstance(op, Conv) and len(op.kernel) > 2:
        return f"a convolution of {len(op.kernel)} dimensions"
    return "a max pool of more than 256 values" if isinstance(op, MaxPool) and op.window > MOST_PLACES else ""


def integer_facts(net: IntegerNet, network: Network, schedule: Schedule, jump_every: int = 1) -> IntegerFacts:
    """Of a network and the same one as it is planned."""
    order: list[Weighted] = [*weighted(net.bodies), *weighted(net.heads)]
    number = {id(layer): FIRST_STREAM + index for index, layer in enumerate(order)}
    named = dict(held_layers(net, network, schedule))
    places = {name: layer.place for name, layer in named.items()}
    streams = {name: number[id(layer)] for name, layer in named.items()}
    return IntegerFacts(net.arithmetic, places, streams, net.mu, jump_every=jump_every)


def with_directions(facts: IntegerFacts, net: IntegerNet, regime: Regime, told: Perturbation) -> IntegerFacts:
    """The same of a zeroth-order regime. Where nothing goes back, mu is that of its directions."""
    front = regime.front(len(net), told.backprop_blocks)
    inside = len(weighted(net.bodies[:front]))
    numbers = {name: stream - FIRST_STREAM for name, stream in facts.streams.items()}
    mu = facts.mu if front < len(net) else told.mu
    numbers = {name: number for name, number in numbers.items() if number < inside}
    return replace(facts, mu=mu, directions=DirectionFacts(told, front, numbers, told.mu - mu))


def state_of(net: IntegerNet, network: Network, schedule: Schedule) -> dict[str, Tensor]:
    """What outlives a step, where ``net`` stands: by tensor, in the simulation's order, flat."""
    return stored(dict(held_layers(net, network, schedule)), net)


def held_layers(net: IntegerNet, network: Network, schedule: Schedule) -> Iterator[tuple[str, Weighted]]:
    """The layers whose weights the schedule holds, under their planned names; bodies before heads."""
    for index, block in enumerate(network.blocks):
        yield from _named(block.layers, weighted(net.body(index)))
    for index, block in enumerate(network.blocks):
        if any(f"{layer.name}.weight" in schedule.tensors for layer in block.head):
            yield from _named(block.head, weighted(net.head(index)))


def _named(layers: tuple[Layer, ...], modules: list[Weighted]) -> Iterator[tuple[str, Weighted]]:
    yield from zip([layer.name for layer in layers if layer.weights], modules, strict=True)
