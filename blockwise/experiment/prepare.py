"""From a configuration to the things it names: board, data, network, cut, head, memory plans."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import nn

from blockwise import data, models, quant
from blockwise.experiment import board
from blockwise.experiment.config import AUTO, Config
from blockwise.experiment.sizes import check_room
from blockwise.integer.arithmetics import arithmetic_of
from blockwise.integer.net import IntegerNet
from blockwise.models import Chain
from blockwise.nets.anatomy import Anatomy, shapes_alone
from blockwise.nets.blocks import BlockNet
from blockwise.nets.cuts import Cut
from blockwise.quant.compiling import check_compiled
from devices.boards.profile import Device
from devices.errors import InputError
from devices.network import Network
from devices.planning import Plan
from devices.program.accountings import DEVICE
from devices.program.regimes import BEST, LEANEST, Step, find, schedule, update_of
from devices.program.state import OPTIMIZER_STATES
from devices.trainability import Obstacle, obstacle

HEAD_CANDIDATES = ("lookahead:64", "lookahead:32", "lookahead:16", "lookahead:8", "gap")
"""From the most accurate head to the smallest, for ``--head auto``."""

INTEGER_HEADS = ("pred-pooled", "gap")
"""The same with integer regimes that have local heads: these are pooled linear layers."""

FLOAT_BYTES = 4


@dataclass(frozen=True, eq=False)
class Setup:
    """A configuration with everything that it names, ready to plan and to train."""

    config: Config
    device: Device
    dataset: data.Dataset
    own: Chain | None = None  # a network that no name builds

    @classmethod
    def of(cls, config: Config, own: nn.Module | None = None, device: Device | None = None) -> "Setup":
        """Load the board and the data. Raises InputError for what does not exist or fit together.

        ``own`` is a network to take instead of the one that the configuration names, ``device`` a board.
        """
        config.validate()
        device = board.load(device or config.board.device, config.board.reserve_kib)
        dataset = _dataset(config)
        setup = cls(config, device, dataset, _fitting(own, dataset))
        setup.check()
        return setup

    def check(self) -> None:
        """Refuse what only the parts together show, before any work is begun."""
        _ = self.accelerator
        for regime in self.config.training.regimes:
            found = self.obstacle(regime)
            if found is not None:
                raise found.error
        if not self.config.output.dry_run:
            self._check_room()
        self._check_compiler()

    def _check_room(self) -> None:
        """Refuse a training whose weights, or what a backward pass needs at least, this computer lacks."""
        training, network = self.config.training, self.network
        heads = sum(layer.weights + layer.biases for block in network.blocks for layer in block.head)
        copies = 2 + OPTIMIZER_STATES[training.optimizer]  # with gradients
        parameters = network.parameters + heads
        flag = "--head" if heads > network.parameters else "--width"
        check_room(flag, f"{parameters:,} parameters to train", FLOAT_BYTES * copies * parameters)
        if self.accelerator == "cpu":
            kept = [sum(math.prod(x.shape) for x in block.layers if x.weights) for block in network.blocks]
            whole = any(find(regime).keeps_batch for regime in training.regimes)
            floats = training.batch_size * (sum(kept) if whole else max(kept))
            check_room("--batch-size", f"{training.batch_size:,} images at a time", FLOAT_BYTES * floats)

    def _check_compiler(self) -> None:
        """Refuse a compiler that loses gradients, where float regimes are to be trained by one."""
        floats = [r for r in self.config.training.regimes if not find(r).is_integer]
        if floats and self.config.training.compile and not self.config.output.dry_run:
            check_compiled(self.build(floats[0]).to(self.accelerator))

    def obstacle(self, regime: str, batch: int | None = None) -> Obstacle | None:
        """Why ``regime`` cannot be trained at the run's batch size, or another; None if it can."""
        training = self.config.training
        batch = training.batch_size if batch is None else batch
        return obstacle(self.network, regime, batch, training.micro_batch)

    @property
    def width(self) -> int | None:
        """Channels of the first stage; None for a network that does not scale."""
        return models.width_of(self.config.network.model, self.config.network.width)

    def chain(self, *, trained: bool = True) -> Chain:
        """The network in float, freshly initialised from the seed, or perhaps only its shapes."""
        network = self.config.network
        torch.manual_seed(self.config.training.seed)
        if self.own is not None:
            return models.replica(self.own, network.norm, network.style, network.width)
        shape, classes = self.dataset.in_shape, len(self.dataset.classes)
        return models.build(
            network.model, shape, classes, self.width, network.norm, network.style, trained=trained
        )

    def step(self, regime: str, batch: int | None = None) -> Step:
        """What a training step of ``regime`` is made of."""
        config = self.config
        bits = config.scheme.bits(config.weight_bits, config.activation_bits, config.residual)
        batch = config.training.batch_size if batch is None else batch
        return Step(
            batch, config.training.optimizer, bits, self.update(regime) == "fused", DEVICE,
            micro_batch=config.training.micro_batch, limit_bytes=self.device.usable_bytes,
            alignment=self.device.alignment_bytes, twice=config.training.requantize == "twice",
        )  # fmt: skip

    def update(self, regime: str) -> str:
        """When gradients are applied in ``regime``."""
        update = self.config.training.update
        return update_of(regime, None if update == AUTO else update)

    @cached_property
    def _choice(self) -> tuple[str, Cut, Network]:
        """The head with its cut and network: as asked for, the first that fits, or the leanest."""
        heads = self._candidates
        shape, classes = self.dataset.in_shape, len(self.dataset.classes)
        with shapes_alone(self.width or 0, classes, *shape):
            anatomy, tried = Anatomy(self.chain(trained=False), heads[0]), []
        for head in heads:
            anatomy = anatomy.with_head(head)
            cut = anatomy.cut(self.config.network.blocks, self.step(LEANEST))
            option = (head, cut, anatomy.network(cut))
            if len(heads) == 1:
                return option
            if not self._can_train(option[2]):
                continue
            plans = [self._plan(option[2], regime) for regime in self._deciding]
            if any(plan.fits for plan in plans):
                return option
            tried.append((min(plan.peak_bytes for plan in plans), option))
        return min(tried, key=lambda found: found[0])[1] if tried else option

    @property
    def _candidates(self) -> tuple[str, ...]:
        asked = self.config.network.head
        if asked != AUTO:
            return (asked,)
        return INTEGER_HEADS if any(find(r).is_integer for r in self._local_regimes) else HEAD_CANDIDATES

    @property
    def _local_regimes(self) -> tuple[str, ...]:
        """Those asked for whose blocks have heads."""
        return tuple(r for r in self.config.training.regimes if find(r).heads)

    @property
    def _deciding(self) -> tuple[str, ...]:
        """The regimes of which one has to fit under a head that is chosen."""
        local = self._local_regimes
        return local if local and LEANEST not in local else (LEANEST,)

    def _can_train(self, network: Network) -> bool:
        training = self.config.training
        regimes = dict.fromkeys((*training.regimes, *self._deciding))
        return not any(obstacle(network, r, training.batch_size, training.micro_batch) for r in regimes)

    @property
    def head(self) -> str:
        """The local head: as asked for; or the most accurate one that fits, or else has the lowest peak."""
        return self._choice[0]

    @property
    def cut(self) -> Cut:
        """Groups of unit numbers, one per block."""
        return self._choice[1]

    @property
    def network(self) -> Network:
        """The network as the hardware side sees it."""
        return self._choice[2]

    def plan(self, regime: str, batch: int | None = None) -> Plan:
        """The memory plan of ``regime`` at the run's batch size, or another."""
        return self._plan(self.network, regime, batch)

    def lowest_backpropagation(self) -> Plan:
        """The best-engineered with the lowest peak, whether or not one that repeats less would fit."""
        step = replace(self.step(BEST), limit_bytes=None)
        return Plan(self.device, BEST, step.batch, self.update(BEST), schedule(BEST, self.network, step))

    def _plan(self, network: Network, regime: str, batch: int | None = None) -> Plan:
        step = self.step(regime, batch)
        return Plan(self.device, regime, step.batch, self.update(regime), schedule(regime, network, step))

    @property
    def integer_regimes(self) -> tuple[str, ...]:
        """Those of the configuration that train on integers alone."""
        return tuple(r for r in self.config.training.regimes if find(r).is_integer)

    def build(self, regime: str = "bp") -> BlockNet | IntegerNet:
        """The network with its heads as ``regime`` trains it, initialised from the seed."""
        found = find(regime)
        if not found.is_integer:
            net = self.build_parts()[1]
            if found.heads:
                net.zero_output()
            return net
        # Without local heads any will do that has an integer form: none of them is trained or counted.
        head = self.head if found.heads else INTEGER_HEADS[-1]
        net = BlockNet(self.chain(), self.cut, head)
        return IntegerNet(net, arithmetic_of(regime), self.config.training.seed)

    def build_parts(self) -> tuple[Chain, BlockNet]:
        """The quantized network by its own names, and the same modules in blocks with heads."""
        chain = self.quantized_chain()
        return chain, BlockNet(chain, self.cut, self.head)

    def quantized_chain(self) -> Chain:
        """The network with its quantizers, freshly initialised from the seed."""
        chain, config = self.chain(), self.config
        quant.quantize(chain, config.scheme, config.weight_bits, config.activation_bits, config.residual)
        return chain

    @cached_property
    def accelerator(self) -> str:
        """The torch device to train on. Raises InputError if CUDA is asked for and absent."""
        asked, available = self.config.training.accelerator, torch.cuda.is_available()
        if asked == "cuda" and not available:
            raise InputError(
                "--accelerator", got="cuda, which this computer does not offer",
                wanted="a device that PyTorch sees", do="use --accelerator cpu",
            )  # fmt: skip
        return "cuda" if available and asked != "cpu" else "cpu"


def _fitting(own: nn.Module | None, dataset: data.Dataset) -> Chain | None:
    """The chain of a network of one's own, for the images and classes of ``dataset``."""
    if own is None:
        return None
    chain = own if isinstance(own, Chain) else models.from_module(own, dataset.in_shape)
    takes, given = (chain.in_shape, chain.num_classes), (dataset.in_shape, len(dataset.classes))
    if takes != given:
        raise InputError(
            f"data {dataset.name}", got=f"images of {given[0]} in {given[1]} classes",
            wanted=f"{takes[0]} in {takes[1]}, as {chain.name} has them",
            do="use other data or another network",
        )  # fmt: skip
    return chain


def _dataset(config: Config) -> data.Dataset:
    images = config.images
    if images.in_shape is not None:
        return data.blank(images.in_shape, images.classes)
    dataset = data.load(
        images.data, image_size=images.image_size, seed=config.training.seed, download=images.download,
        progress=data.silent if config.output.quiet else None,
    )  # fmt: skip
    data.check_batch_size(config.training.batch_size, dataset)
    return dataset
