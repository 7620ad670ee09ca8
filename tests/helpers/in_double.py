"""One step in float64 beside that of the simulation and that on bytes: how far either is from it."""

import copy
from typing import Any

import torch
from one_step import MEAN, STD, OneStep
from torch import Tensor

from blockwise import quant
from blockwise.nets.blocks import BlockNet
from blockwise.nets.modules import modules_of
from blockwise.training.on_board import tensors_of
from blockwise.training.phase import Phase
from blockwise.training.updater import Updater


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
