"""One step in float64 beside that of the simulation and that on bytes: how far either is from it."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from one_step import MEAN, STD, Codes, OneStep
from torch import Tensor

from blockwise import quant
from blockwise.nets.blocks import BlockNet
from blockwise.nets.modules import modules_of
from blockwise.training.on_board import tensors_of
from blockwise.training.phase import Phase
from blockwise.training.updater import Updater
from blockwise.training.zeroth_order import ZerothOrder
from devices.program.execute.memory import Memory
from devices.program.operation import Operation
from devices.program.regimes.zeroth_order import ALONG, DIFFERENCES


class InDouble(OneStep):
    """A step of one phase without a quantizer, from the same start with all numbers in float64."""

    def simulated(self, net: BlockNet, updater: Any, phase: Phase) -> None:
        self.twin = copy.deepcopy(net).double()  # the last step's stays
        parameters = [p for p in self.twin.parameters() if p.requires_grad]
        rules = quant.ParameterRules.of(self.twin)
        again = Updater(parameters, self.optimizer, fused=self.fused, rules=rules, peak=0.05)
        again.set_learning_rate(0.05)
        for theirs, ours in zip(updater.optimizers, again.optimizers, strict=True):
            before = [theirs.state[p] for group in theirs.param_groups for p in group["params"]]
            after = [p for group in ours.param_groups for p in group["params"]]
            for state, parameter in zip(before, after, strict=True):
                ours.state[parameter] = {
                    key: value.double().clone() if isinstance(value, Tensor) else value
                    for key, value in state.items()
                }
        images = (self.images.double() / 255 - MEAN) / STD
        self.procedure.step(self.twin.train(), phase, images, self.labels)
        again.finish_step()
        again.close()
        super().simulated(net, updater, phase)

    def errors(self) -> tuple[float, float]:
        """Of the simulation and of the board, as shares of the update in float64."""
        doubles = dict(zip(self.net.modules(), self.twin.modules(), strict=True))
        exact = {
            f"{name}.{what}": value.flatten()
            for name, module in modules_of(self.chain, self.net, self.plan.layers)
            if module in doubles
            for what, value in tensors_of(doubles[module], self.plan.layers[name]).items()
            if f"{name}.{what}" in self.after
        }
        assert exact.keys() == self.after.keys()
        update = torch.cat([exact[name] - self.start[name].double() for name in exact]).norm()
        simulated, board = (
            torch.cat([found[name].double().flatten() - exact[name] for name in exact]).norm()
            for found in (self.after, self.board)
        )
        return float(simulated / update), float(board / update)


@dataclass(frozen=True)
class Told(ZerothOrder):
    """Keeps each loss, and what it is in float64 at the same weights, as they are in 32 bits."""

    images: Tensor = field(default_factory=lambda: torch.empty(0))
    losses: list[tuple[float, float]] = field(default_factory=list)

    def _loss(self, net: BlockNet, x: Tensor, y: Tensor, *, back_to: int | None = None) -> Tensor:
        twin = copy.deepcopy(net).double()
        for module in twin.modules():
            module._forward_hooks.clear()
        with torch.no_grad():
            exact = float(twin.loss((self.images.double() / 255 - MEAN) / STD, y))
        found = super()._loss(net, x, y, back_to=back_to)
        self.losses.append((float(found), exact))
        return found


class LossesInDouble(OneStep):
    """A zeroth-order step, and the differences of its losses: here, on the board, and in float64."""

    def simulated(self, net: BlockNet, updater: Any, phase: Phase) -> None:
        assert isinstance(self.procedure, ZerothOrder)
        self.procedure = told = Told(self.procedure.name, self.images)
        super().simulated(net, updater, phase)  # the last step's stay
        self.losses, exact = torch.tensor(told.losses, dtype=torch.float64).unbind(1)
        self.here, self.exact = (sides[::2] - sides[1::2] for sides in (self.losses, exact))

    def watching(self, codes: Codes) -> Callable[[Operation, Memory], None]:
        def watch(operation: Operation, memory: Memory) -> None:
            codes.compare(operation, memory)
            if operation.action == ALONG:
                self.there = memory.load(DIFFERENCES).double() / self.batch

        return watch

    def last_bits(self) -> tuple[float, float]:
        """How far a difference here, and one on the board, is from float64, in last bits of a loss."""
        bit = torch.finfo(torch.float32).eps * 2 ** math.floor(math.log2(float(self.losses.max())))
        here, there = ((found - self.exact).abs().max() / bit for found in (self.here, self.there))
        return float(here), float(there)

    def told_apart(self) -> float:
        """What they make of the update along directions, here and on the board, as a share of it."""
        return float((self.here - self.there).norm() / self.exact.norm())
