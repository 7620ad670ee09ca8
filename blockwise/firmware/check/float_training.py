"""The simulation of a float training, step by step: what the C is held against."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from blockwise.nets.blocks import BlockNet
from blockwise.nets.chain import Chain
from blockwise.nets.modules import modules_of
from blockwise.training.directions import DirectionUpdater
from blockwise.training.on_board import machine_of, tensors_of
from blockwise.training.phase import Phase, Procedure
from blockwise.training.updater import Updater
from devices.network import Layer

Layers = Mapping[str, Layer]
AnyUpdater = Updater | DirectionUpdater


@dataclass(frozen=True, eq=False)
class FloatTraining:
    """A float regime's network as it stands before the first step.

    ``updater`` makes one for what is trained, at the learning rate ``rate``; ``layers`` are the schedule's.
    """

    chain: Chain
    net: BlockNet
    layers: Layers
    procedure: Procedure[BlockNet]
    updater: Callable[[BlockNet], AnyUpdater]
    optimizer: str
    normalize: Callable[[Tensor], Tensor]
    rate: float

    def begin(self, phase: Phase) -> AnyUpdater:
        """What a phase does not train stands still."""
        for index in range(len(self.net)):
            trained = index in phase.blocks
            self.net.bodies[index].requires_grad_(trained)
            self.net.heads[index].requires_grad_(trained and index in phase.heads)
        self.net.hold()
        return self.updater(self.net)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """Those of the schedule's layers that have one."""
        return dict(modules_of(self.chain, self.net, self.layers))

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All that is trained, as a board has it: by name, flat."""
        return {
            f"{name}.{what}": value.clone()
            for name, module in self.modules.items()
            for what, value in tensors_of(module, self.layers[name]).items()
        }


@dataclass(frozen=True, eq=False)
class Moment:
    """Before a step of ``phase`` on uint8 images (B, C, H, W) and labels (B,)."""

    training: FloatTraining
    phase: Phase
    updater: AnyUpdater
    images: Tensor
    labels: Tensor

    def step(self) -> None:
        """Train once; finished blocks use their statistics."""
        net, phase = self.training.net, self.phase
        net.eval()
        for index in phase.blocks:
            for part in net.parts(index):
                part.train()
        net.rest()
        x = self.training.normalize(self.images).to(next(net.parameters()).dtype)
        with torch.no_grad():
            x = net.run(x, 0, phase.first)
        self.training.procedure.step(net, phase, x, self.labels)
        self.updater.finish_step()

    @property
    def state(self) -> dict[str, Tensor]:
        """What is trained, and what the optimizer keeps; by name, flat."""
        training, batch = self.training, (self.images, self.labels)
        machine = machine_of(
            training.chain, training.net, self.updater, training.optimizer, batch, training.normalize,
            training.layers, training.procedure.name,
        )  # fmt: skip
        return dict(machine.start)

    def kept(self) -> Any:
        """A copy of network and updater, for :meth:`put_back`."""
        return copy.deepcopy((self.training.net.state_dict(), self.updater.state_dict()))

    def put_back(self, kept: Any) -> None:
        """Go back, or on, to what :meth:`kept` gave."""
        self.training.net.load_state_dict(kept[0])
        self.updater.load_state_dict(copy.deepcopy(kept[1]))
