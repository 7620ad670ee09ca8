"""What firmware is made of: a schedule, an address for each tensor, and what training starts from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from blockwise.firmware.arenas import heights_of
from blockwise.firmware.float_facts import FloatFacts
from blockwise.firmware.integer_facts import (
    IntegerFacts,
    check_layers,
    integer_facts,
    state_of,
    with_directions,
)
from blockwise.firmware.phases import Phase, phases
from blockwise.firmware.shapes import MAP
from blockwise.integer.net import IntegerNet
from blockwise.training.options import Perturbation
from devices.boards.profile import Device
from devices.errors import InputError
from devices.memory.arena import Placement, RamRun
from devices.network import Layer, Network
from devices.network.ops import View
from devices.planning import Plan
from devices.program.integer import is_weight
from devices.program.regimes import find
from devices.program.schedule import Schedule
from devices.program.schedule import Tensor as Planned


@dataclass(frozen=True)
class Stretch:
    """A run of RAM: ``height`` of its bytes hold tensors, from ``start``, its first aligned address on."""

    name: str
    start: int | None  # None where the board's is not known, and in tests without a board
    size_bytes: int
    reserve_bytes: int
    height: int


@dataclass(frozen=True)
class Spot:
    """Where a tensor lies: the number of its stretch, and how many bytes into its array."""

    stretch: int
    offset: int


@dataclass(frozen=True, eq=False)
class Firmware:
    """One training step as a program for a board.

    ``network`` is the one whose layers the schedule works on. ``given`` are the resident tensors to start
    from, in the simulation's layout, as :meth:`devices.program.execute.Memory.load` gives them; None where
    the firmware draws its own first weights from a seed.
    """

    regime: str
    batch: int
    seed: int
    schedule: Schedule
    network: Network
    stretches: tuple[Stretch, ...]
    spots: Mapping[str, Spot]
    arithmetic: IntegerFacts | FloatFacts
    device: Device | None = None
    given: Mapping[str, Tensor] | None = None
    notes: Mapping[str, str] = field(default_factory=dict)  # told in the README, by their titles
    save_every: int = 0  # steps between saves in flash; 0 where nothing is saved
    in_flash: Mapping[str, Tensor] = field(default_factory=dict)  # on integers: what is read there in place
    first: Mapping[str, Tensor] = field(default_factory=dict)  # of ``brought``, where they are not drawn

    @property
    def facts(self) -> IntegerFacts:
        """Of an integer regime."""
        assert isinstance(self.arithmetic, IntegerFacts)
        return self.arithmetic

    @property
    def counts_steps(self) -> bool:
        """Whether the program knows how many steps are behind: to save them, or to draw by them."""
        return bool(self.save_every) or getattr(self.arithmetic, "directions", None) is not None

    @property
    def jump_every(self) -> int:
        """Steps behind which weights jump that wait: then a step does all that there is to do."""
        return self.arithmetic.jump_every if isinstance(self.arithmetic, IntegerFacts) else 1

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        """What is trained one behind the other; of a regime that trains all at once one phase."""
        return phases(self.schedule)

    @property
    def one_by_one(self) -> bool:
        """Whether blocks are trained one behind the other, each in a phase that is begun and ended."""
        return len(self.phases) > 1 or any(phase.begin or phase.end for phase in self.phases)

    @property
    def classes(self) -> int:
        """That the network tells apart."""
        return self.network.classes

    @cached_property
    def layers(self) -> Mapping[str, Layer]:
        """By name."""
        return {layer.name: layer for layer in self.network.all_layers}

    @cached_property
    def resident(self) -> tuple[Planned, ...]:
        """The tensors that outlive a step, in the order in which the state is read and written.

        Of a regime that trains blocks one by one also those that a block has in its phase, and what is left
        of it: they share bytes with those of other phases.
        """
        operations = self.schedule.operations
        ends = [operations[index] for phase in self.phases for index in phase.end]
        kept = {name for operation in ends for name in (*operation.reads, *operation.writes)}
        tensors = self.schedule.tensors.values()
        return tuple(t for t in tensors if t.resident or (t.name in kept and not t.mapped))

    @property
    def constants(self) -> Mapping[str, Tensor]:
        """On integers the weights that lie in flash by their names: read in place, then copied."""
        return {**self.in_flash, **self.first}

    @cached_property
    def brought(self) -> frozenset[str]:
        """On integers the weights that are there in their block's turn alone."""
        begins = (x for x in self.schedule.operations if x.action == "begins")
        return frozenset(name for operation in begins for name in operation.writes if is_weight(name))

    @cached_property
    def left(self) -> tuple[Planned, ...]:
        """The tensors that the whole training leaves."""
        operations = self.schedule.operations
        made = {name for phase in self.phases for index in phase.end for name in operations[index].writes}
        return tuple(t for t in self.schedule.tensors.values() if t.resident or t.name in made)

    def source_shape(self, layer: Layer) -> tuple[int, ...]:
        """The shape of what a layer reads, (C, H, W), (C, L) or (F,); of what is flattened that before."""
        name = layer.inputs[0]
        while name in self.layers and _stays(self.layers[name]) and not _has_sides(self.layers[name]):
            name = self.layers[name].inputs[0]
        return self.layers[name].shape if name in self.layers else self.network.in_shape


def _has_sides(layer: Layer) -> bool:
    """Whether what it gives is a signal or a map: no features, and no view of more dimensions."""
    return 1 < len(layer.shape) <= MAP


def _stays(layer: Layer) -> bool:
    """Whether elements lie as they lay in what it reads: a view of them, or their codes."""
    return isinstance(layer.op, View) or layer.op.makes_codes


def of_net(
    regime: str, schedule: Schedule, network: Network, net: IntegerNet, batch: int, seed: int,
    stretches: tuple[Stretch, ...], spots: Mapping[str, Spot], device: Device | None = None,
    given: Mapping[str, Tensor] | None = None, told: Perturbation | None = None, jump_every: int = 1,
) -> Firmware:  # fmt: skip
    """Of an integer regime; ``network`` as :func:`devices.program.integer.integer_network` makes it.

    ``told`` is how one of zeroth order steps; states of weights jump behind every ``jump_every`` batches.
    """
    facts, start = integer_facts(net, network, schedule, jump_every), state_of(net, network, schedule)
    if told is not None:
        facts = with_directions(facts, net, find(regime), told)
    return Firmware(
        regime,
        batch,
        seed,
        schedule,
        network,
        stretches,
        spots,
        facts,
        device,
        given,
        in_flash={name: start[name] for name, tensor in schedule.tensors.items() if tensor.mapped},
    )


def of_plan(
    plan: Plan, network: Network, net: IntegerNet, seed: int, told: Perturbation | None = None,
    jump_every: int = 1,
) -> Firmware:  # fmt: skip
    """Of a plan that fits its board. Raises InputError for one that does not, or a layer without C form."""
    check_layers(network)
    stretches, spots = placed(fitting(plan).placement)
    return of_net(
        plan.regime, plan.schedule, network, net, plan.batch_size, seed, stretches, spots, plan.device,
        told=told, jump_every=jump_every,
    )  # fmt: skip


def fitting(plan: Plan) -> Plan:
    """The plan itself. Raises InputError if it does not fit its board."""
    if not plan.fits:
        raise InputError(
            f"firmware for {plan.device.name}", got=f"a plan that needs {plan.peak_bytes:,} bytes",
            wanted=f"at most {plan.placement.capacity:,}, where every tensor has a place",
            do="choose another regime, a smaller network or batch, or another board",
        )  # fmt: skip
    return plan


def placed(placement: Placement) -> tuple[tuple[Stretch, ...], dict[str, Spot]]:
    """The runs that hold tensors, each with its height, and every tensor's place in them."""
    heights = heights_of(placement)
    runs = [run for run in placement.runs if heights.get(run.name)]
    leads = {run.name: run.lead(placement.alignment) for run in placement.runs}
    stretches = tuple(_stretch(run, leads[run.name], heights[run.name]) for run in runs)
    number = {run.name: index for index, run in enumerate(runs)}
    spots = {
        name: Spot(number.get(place.run, 0), place.offset - leads[place.run])
        for name, place in placement.places.items()
    }
    return stretches, spots


def _stretch(run: RamRun, lead: int, height: int) -> Stretch:
    start = None if run.start is None else run.start + lead
    return Stretch(run.name, start, run.size_bytes, run.reserve_bytes, height)
