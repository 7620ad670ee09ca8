"""Steps of an integer regime twice: by the simulation, and on bytes at planned addresses."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from blockwise import models
from blockwise.integer.arithmetics import arithmetic_of
from blockwise.integer.net import IntegerNet
from blockwise.integer.on_board import machine_of, placed_layers
from blockwise.integer.partial import restrict_integers
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.training import INTEGER_REGIMES, TrainOptions
from blockwise.training.numerics import IntegerNumerics
from blockwise.training.options import Perturbation
from blockwise.training.phase import Phase
from devices.memory.arena import buffers_of, pack
from devices.network.partial import choice
from devices.program.execute import execute
from devices.program.integer import COUNT, integer_network, waiting_of
from devices.program.regimes import Step, find, schedule
from devices.program.schedule import Schedule

USUAL = Perturbation()


@dataclass
class IntegerSteps:
    regime: str
    model: str | nn.Module = "plain4"
    batch: int = 4
    twice: bool = False
    width: int = 4
    in_shape: tuple[int, ...] = (1, 8, 8)
    blocks: str = "layers"
    perturbation: Perturbation = USUAL
    train: str = "all"
    frozen: str = "ram"
    jump_every: int = 1
    due: bool = False  # of blocks one by one: whether the batches before each step had no gradients
    limit_bytes: int | None = None  # sums are made twice where this is passed, if it is given

    def __post_init__(self) -> None:
        if isinstance(self.model, nn.Module):
            chain = models.from_module(self.model, self.in_shape)
        else:
            chain = models.build(self.model, self.in_shape, 3, self.width, "none")
        self.step = Step(
            self.batch,
            twice=self.twice,
            limit_bytes=self.limit_bytes,
            by_tensor=self.limit_bytes is not None,
            perturbations=self.perturbation.directions,
            backprop_blocks=self.perturbation.backprop_blocks,
            frozen=self.frozen,
            jump_every=self.jump_every,
        )
        anatomy = Anatomy(chain, "gap")
        groups = anatomy.cut(self.blocks, self.step)
        network = choice(self.train).of(anatomy.network(groups))
        self.plan: Schedule = schedule(self.regime, network, self.step)
        self.network = integer_network(network)
        self.net = IntegerNet(BlockNet(chain, groups, "gap"), arithmetic_of(self.regime), 7)
        restrict_integers(self.net, network)
        self.procedure = INTEGER_REGIMES[self.regime]
        self.told = TrainOptions(
            1,
            self.batch,
            "sgd",
            0.0,
            True,
            seed=7,
            perturbation=self.perturbation,
            jump_every=self.jump_every,
        )
        self.begin()
        self.offsets = pack(buffers_of(self.plan, 8), 8).offsets

    def begin(self) -> None:
        """Of a phase: what waited in the one before is forgotten."""
        self.updater = IntegerNumerics().updater(self.net, self.told, self.regime)

    def take(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """A step of the simulation, of every phase."""
        self.net.train()
        for phase in self.procedure.phases(self.net):
            if find(self.regime).one_by_one:
                self.begin()
            if self.due and self.updater.jumps:
                self.updater.jumps.waiting = self.jump_every - 1
            self.procedure.step(self.net, phase, self.before(phase, images), labels)
            self.updater.finish_step()

    def before(self, phase: Phase, images: torch.Tensor) -> Any:
        """What the blocks of a phase read."""
        self.net.eval()
        found = self.net.run(images, 0, phase.first)
        self.net.train()
        return found

    def run(self, steps: int = 3) -> list[str]:
        """The layers whose weights or generators differ after any step, with the number of the step."""
        generator = torch.Generator().manual_seed(1)
        wrong, net = [], self.net
        for count in range(steps):
            shape = (self.batch, *self.in_shape)
            images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
            labels = torch.randint(0, 3, (self.batch,), generator=generator)
            machine = machine_of(net, self.network, (images, labels))
            memory = execute(self.plan, self.offsets, machine)
            self.take(images, labels)
            after = machine_of(net, self.network, (images, labels)).start
            for name, _ in placed_layers(net, self.network):
                for key in (f"{name}.weight", f"{name}.generator", waiting_of(name), COUNT):
                    if key in memory.tensors and not memory.tensors[key].resident:
                        continue  # of a phase that is over
                    if key in memory.tensors and not torch.equal(memory.load(key).flatten(), after[key]):
                        wrong.append(f"{key} in step {count}")
        return wrong
