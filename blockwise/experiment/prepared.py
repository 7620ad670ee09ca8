"""What a configuration names, ready to plan and to train: network, cut, head, memory plans."""

from dataclasses import dataclass, field
from functools import cached_property

import torch

from blockwise import data, models
from blockwise.experiment import board
from blockwise.experiment.choice import INTEGER_HEADS, Chosen, Heads
from blockwise.experiment.config import Config
from blockwise.experiment.initial import taking
from blockwise.experiment.initial.integers import biased, quantize_into
from blockwise.experiment.initial.taken import Taken
from blockwise.experiment.initial.weights import Weights
from blockwise.experiment.networks import float_chain, quantize, width_of
from blockwise.experiment.planner import Planner
from blockwise.integer.arithmetics import arithmetic_of
from blockwise.integer.net import IntegerNet
from blockwise.integer.partial import restrict_integers
from blockwise.models import Chain
from blockwise.nets.blocks import BlockNet
from blockwise.nets.cuts import Cut
from blockwise.nets.partial import restrict
from devices.boards.profile import Device
from devices.errors import InputError
from devices.network import Network
from devices.planning import Plan
from devices.program.made_once import Schedules
from devices.program.regimes import LEANEST, PLAIN, Step, find
from devices.trainability import Obstacle


@dataclass(frozen=True, eq=False)
class Prepared:
    """A configuration with its board and its images, as ``prepare`` gives it."""

    config: Config
    device: Device
    dataset: data.Dataset
    own: Chain | None = None  # a network that no name builds
    taken: Chosen | None = None  # head and cut of a run whose weights are used
    initial: Weights | None = None  # trained weights to start from
    schedules: Schedules = field(default_factory=Schedules, repr=False)  # shared with what is made of this

    @cached_property
    def planner(self) -> Planner:
        """Plans any network on the board."""
        return Planner(self.config, self.device, self.schedules)

    @cached_property
    def other_devices(self) -> tuple[Device, ...]:
        """The boards that the network is planned for beside its own. Raises InputError for an unknown one."""
        names = self.config.board.other_devices
        run = self.config.output.resume
        return tuple(board.load(name, self.config.board.reserve_kib, run) for name in names)

    @property
    def boards(self) -> dict[str, Device]:
        """All of them by the names that the configuration has."""
        names = (self.config.board.device, *self.config.board.other_devices)
        return dict(zip(names, (self.device, *self.other_devices), strict=True))

    @property
    def width(self) -> float | None:
        """Channels of the first stage; None for a network that does not scale."""
        return width_of(self.config.network)

    @cached_property
    def heads(self) -> Heads:
        """The local heads that may be chosen."""
        sizes = (int(self.width or 0), len(self.dataset.classes), *self.dataset.in_shape)
        return Heads(self.planner, lambda: self.chain(trained=False), *sizes)

    @cached_property
    def chosen(self) -> Chosen:
        """Head and cut, with the network so cut: those that are taken, or else by the configuration."""
        return self.heads.choose(self.planner) if self.taken is None else self.taken

    @property
    def head(self) -> str:
        """The local head."""
        return self.chosen.head

    @property
    def cut(self) -> Cut:
        """Groups of unit numbers, one per block."""
        return self.chosen.cut

    @property
    def whole(self) -> Network:
        """The network as the hardware side sees it, whatever of it is trained."""
        return self.chosen.network

    @cached_property
    def network(self) -> Network:
        """The network of which that is trained which the configuration says."""
        return self.planner.part_of(self.whole)

    # ------------------------------------------------------------------ plans

    def step(self, regime: str, batch: int | None = None) -> Step:
        """What a training step of ``regime`` is made of."""
        return self.planner.step(regime, batch)

    def update(self, regime: str) -> str:
        """When gradients are applied in ``regime``."""
        return self.planner.update(regime)

    def plan(self, regime: str, batch: int | None = None) -> Plan:
        """The memory plan of ``regime`` at the run's batch size, or another."""
        return self.planner.plan(self.network, regime, batch)

    def plan_of_last_stage(self, regime: str, batch: int | None = None) -> Plan:
        """That of the last stage of a training: what firmware does."""
        return self.planner.of_last_stage(self.network, regime, batch)

    def lowest_backpropagation(self) -> Plan:
        """The best-engineered with the lowest peak, whether or not one that repeats less would fit."""
        return self.planner.lowest(self.network)

    def obstacle(self, regime: str, batch: int | None = None) -> Obstacle | None:
        """Why ``regime`` cannot be trained at the run's batch size, or another; None if it can."""
        return self.planner.obstacle(self.network, regime, batch)

    # --------------------------------------------------------------- networks

    def chain(self, *, trained: bool = True) -> Chain:
        """The network in float as it starts: from the seed, or trained weights; or only its shapes."""
        chain = self._fresh(trained=trained)
        if trained and self.initial is not None:
            taking.take(self.initial, chain)
        return chain

    def _fresh(self, *, trained: bool) -> Chain:
        network, seed = self.config.network, self.config.training.seed
        if self.own is not None:
            torch.manual_seed(seed)
            return models.replica(self.own, network.norm, network.style, network.width)
        shape, classes = self.dataset.in_shape, len(self.dataset.classes)
        return float_chain(network, shape, classes, seed, trained=trained)

    def quantized_chain(self) -> Chain:
        """The network with its quantizers, as it starts."""
        chain = quantize(self.chain(), self.config.quantization, self.config.network.model)
        if self.initial is not None and self.takes_quantizers:
            taking.take_quantizers(self.initial, chain)
        return chain

    def build_parts(self) -> tuple[Chain, BlockNet]:
        """The quantized network by its own names, and the same modules in blocks with heads."""
        chain = self.quantized_chain()
        net = BlockNet(chain, self.cut, self.head)
        if self.initial is not None and self.takes_heads:
            taking.take_heads(self.initial, net)
        return chain, restrict(net, chain, self.network)

    def integer_parts(self, regime: str) -> tuple[Chain, BlockNet]:
        """The float network of whose layers an integer ``regime`` trains the form; neither has quantizers."""
        # Without local heads any will do that has an integer form: none of them is trained or counted.
        chain, local = self.chain(), find(regime).heads
        net = BlockNet(chain, self.cut, self.head if local else INTEGER_HEADS[-1])
        if self.initial is not None and local and self.takes_heads:
            taking.take_heads(self.initial, net)
        return chain, net

    def build(self, regime: str = PLAIN) -> BlockNet | IntegerNet:
        """The network with its heads as ``regime`` trains it, as it starts."""
        found = find(regime)
        if not found.is_integer:
            net = self.build_parts()[1]
            if self.zeroes_output(regime):
                net.zero_output()
            return net
        _, blocks = self.integer_parts(regime)
        integers = IntegerNet(blocks, arithmetic_of(regime), self.config.training.seed)
        if self.is_given:
            quantize_into(integers, blocks, heads=found.heads and self.takes_heads)
        return restrict_integers(integers, self.network)

    # -------------------------------------------------------- trained weights

    @property
    def is_given(self) -> bool:
        """Whether first weights are not drawn here: a network of one's own has its own."""
        return self.own is not None or self.initial is not None

    def zeroes_output(self, regime: str) -> bool:
        """Whether ``regime`` may start an output layer that learns alone at zero: never one that is given."""
        return find(regime).heads and not self.is_given and self.network.blocks[-1].learns

    def quantization_of(self, regime: str) -> str:
        """To which the values of quantizers trained by ``regime`` belong; empty if they are not handed on.

        Methods that train in stages, or in float, choose theirs in each training.
        """
        config = self.config
        handed_on = not (
            find(regime).is_integer or config.is_float or config.stages.last or config.scheme.after_training
        )
        widths = f"W{config.weight_bits}A{config.activation_bits}, skips {config.residual}"
        return f"{config.scheme.name} {widths}" if handed_on else ""

    def blocks_of(self, regime: str) -> str:
        """Cut and head to which local heads trained by ``regime`` belong; empty where it trains none."""
        names = [" ".join(map(str, group)) for group in self.cut]
        norm = self.config.network.norm
        return f"{self.head}, {norm} norm, units {'; '.join(names)}" if find(regime).heads else ""

    @property
    def takes_quantizers(self) -> bool:
        """Whether the values of quantizers are the source's."""
        return self.initial is not None and self.quantization_of(PLAIN) == self.initial.quantizers != ""

    @property
    def takes_heads(self) -> bool:
        """Whether local heads are the source's."""
        return self.initial is not None and self.blocks_of(LEANEST) == self.initial.blocks != ""

    @cached_property
    def initial_taken(self) -> Taken | None:
        """What becomes of trained weights. Raises InputError for those of another network."""
        if self.initial is None:
            return None
        regimes = self.config.training.regimes
        return taking.told(
            self.initial, self._fresh(trained=True),
            heads=self.takes_heads and any(find(regime).heads for regime in regimes),
            quantizers=self.takes_quantizers and any(not find(regime).is_integer for regime in regimes),
            integers=bool(self.integer_regimes),
        )  # fmt: skip

    @property
    def leaves_biases_out(self) -> bool:
        """Whether integer regimes train a network of one's own without biases that it has."""
        return self.own is not None and bool(self.integer_regimes) and biased(self.chain(trained=False))

    @property
    def integer_regimes(self) -> tuple[str, ...]:
        """Those of the configuration that train on integers alone."""
        return tuple(r for r in self.config.training.regimes if find(r).is_integer)

    @cached_property
    def accelerator(self) -> str:
        """The torch device to train on. Raises InputError if CUDA is asked for and absent."""
        return accelerator_of(self.config)


def accelerator_of(config: Config) -> str:
    """The torch device to train on. Raises InputError if CUDA is asked for and absent."""
    asked, available = config.training.accelerator, torch.cuda.is_available()
    if asked == "cuda" and not available:
        raise InputError(
            "--accelerator", got="cuda, which this computer does not offer",
            wanted="a device that PyTorch sees", do="use --accelerator cpu",
        )  # fmt: skip
    return "cuda" if available and asked != "cpu" else "cpu"
