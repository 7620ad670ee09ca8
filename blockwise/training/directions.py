"""What zeroth-order steps move: tensors by number, along directions that follow from the seed."""

from typing import Any

import torch
from torch import Tensor, nn

from blockwise.integer import directions as drawn
from blockwise.nets.blocks import BlockNet
from blockwise.nets.partial import holding
from blockwise.quant import ParameterRules, Quantizer
from blockwise.training.options import Perturbation, TrainOptions
from blockwise.training.schedules import SCHEDULES
from blockwise.training.tensors import parameters_of
from blockwise.training.updater import Updater, rule_of


class Directions:
    """The tensors of a network's front, each a list of parameters one behind the other, and losses of a step.

    ``tensors`` has them by number; ``front`` is how many blocks they are of. Weights, biases, scales and
    shifts go along directions; what quantizers train does not. ``differences`` are, of each direction of a
    step, the mean loss on the one side less that on the other.
    """

    def __init__(self, net: BlockNet, front: int, seed: int, told: Perturbation) -> None:
        self.tensors, self.front, self.seed = numbered(net, front), front, seed
        self._shares = _shares(net)
        self.eps, self.count = told.eps, told.directions
        self.steps = 0
        self.differences: list[Tensor] = []
        self._drawn: dict[tuple[int, int], Tensor] = {}

    def of(self, tensor: int, index: int) -> Tensor:
        """Direction ``index`` of this step for tensor number ``tensor``: -1 and 1, flat, float32."""
        key = tensor, index
        if key not in self._drawn:  # on a board drawn again each time; here once a step
            self._drawn[key] = self.draw(tensor, index, self.steps).to(self.tensors[tensor][0].device)
        return self._drawn[key]

    def draw(self, tensor: int, index: int, steps: int) -> Tensor:
        """The same behind ``steps`` steps, on the processor."""
        rng = drawn.generator(self.seed, tensor, steps * self.count + index)
        return drawn.signs(rng, sum(self._count(p) for p in self.tensors[tensor])).float()

    def move(self, index: int, by: int) -> None:
        """Each tensor by ``by`` times eps along direction ``index``, in place."""
        for tensor, parts in self.tensors.items():
            for p, z in zip(parts, self._split(tensor, self.of(tensor, index)), strict=True):
                p.data.add_(z, alpha=by * self.eps)

    def gradient(self, tensor: int) -> list[Tensor]:
        """The mean over the step's directions of (difference / 2 eps) z, of each parameter of a tensor."""
        total = torch.zeros_like(self.of(tensor, 0))
        for index, difference in enumerate(self.differences):
            total = total + difference / (2 * self.eps * self.count) * self.of(tensor, index)
        return self._split(tensor, total)

    def finish(self) -> None:
        """The step is made."""
        self.steps += 1
        self.differences.clear()
        self._drawn.clear()

    def _split(self, tensor: int, flat: Tensor) -> list[Tensor]:
        parts = self.tensors[tensor]
        sizes = [self._count(p) for p in parts]
        return [self._whole(p, part) for p, part in zip(parts, flat.split(sizes), strict=True)]

    def _count(self, p: nn.Parameter) -> int:
        """Elements that are trained."""
        return p[self._shares[id(p)]].numel() if id(p) in self._shares else p.numel()

    def _whole(self, p: nn.Parameter, part: Tensor) -> Tensor:
        """What is drawn of a parameter, zero where it is not trained."""
        if id(p) not in self._shares:
            return part.view_as(p)
        whole, here = torch.zeros_like(p), self._shares[id(p)]
        whole[here] = part.view(whole[here].shape)
        return whole


def _shares(net: BlockNet) -> dict[int, tuple[slice, slice]]:
    """By identity, the weights of which only the first outputs and inputs are trained."""
    shares = () if net.part is None else net.part.shares
    return {id(net.get_parameter(name)): (slice(outputs), slice(inputs)) for name, outputs, inputs in shares}


def numbered(net: BlockNet, blocks: int) -> dict[int, list[nn.Parameter]]:
    """Those tensors of the first ``blocks`` blocks that are trained by number: their place among all tensors.

    These are in the order of the network's modules.
    """
    found: dict[int, list[nn.Parameter]] = {}
    number = 0
    for index, body in enumerate(net.bodies):
        for module in body.modules():
            if isinstance(module, Quantizer):
                continue
            for what, parts in parameters_of(module).items():
                if what != "step":
                    trained = [p for p in parts if p.requires_grad]  # of a norm perhaps the shift alone
                    if index < blocks and trained:
                        found[number] = trained
                    number += 1
    return found


class DirectionUpdater:
    """Plain SGD along directions for a network's front, and a usual updater for the blocks behind it, if any.

    While it is there ``net.directions`` are those of the step under way.
    """

    def __init__(self, net: BlockNet, front: int, options: TrainOptions, rear: Updater | None) -> None:
        self.directions = Directions(net, front, options.seed, options.perturbation)
        self.net, self.rear, self.rate = net, rear, 0.0
        self._peak, self._share = options.perturbation.rate, SCHEDULES[options.schedule]
        self._rules, self._decay = holding(net, ParameterRules.of(net)), options.weight_decay
        net.directions = self.directions

    @property
    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Of the blocks behind the front."""
        return self.rear.optimizers if self.rear else []

    def set_progress(self, done: int, total: int) -> None:
        """Both rates go by the same schedule."""
        self.rate = self._peak * self._share(done, total)
        if self.rear:
            self.rear.set_progress(done, total)

    def perturbs(self, parameter: Tensor) -> bool:
        """Whether it belongs to the front and goes along directions."""
        return any(parameter is p for parts in self.directions.tensors.values() for p in parts)

    def pace(self, parameter: Tensor) -> tuple[float, float]:
        """Learning rate and decay of a parameter of the front."""
        rule = rule_of(parameter, self._rules, self._decay)
        return self.rate * rule.lr_scale, rule.weight_decay

    @torch.no_grad()
    def finish_step(self) -> None:
        """p - rate (g + decay p)."""
        for tensor, parts in self.directions.tensors.items():
            for p, g in zip(parts, self.directions.gradient(tensor), strict=True):
                rate, decay = self.pace(p)
                p.copy_(p - rate * (g + decay * p))
            self._rules.constrain(parts)
        self.directions.finish()
        if self.rear:
            self.rear.finish_step()

    def forget_resized(self) -> None:
        """The front has no state."""
        if self.rear:
            self.rear.forget_resized()

    def tensors(self) -> list[Tensor]:
        """Optimizer state of the blocks behind the front."""
        return self.rear.tensors() if self.rear else []

    def state_dict(self) -> list[dict[str, Any]]:
        """How many steps are made, which decides what is drawn next; and the state of those blocks."""
        return [{"steps": self.directions.steps}, *(self.rear.state_dict() if self.rear else [])]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Restore what :meth:`state_dict` gave."""
        first, *rest = states
        self.directions.steps = int(first["steps"])
        if self.rear:
            self.rear.load_state_dict(rest)

    def close(self) -> None:
        """Leave the weights alone."""
        self.net.directions = None
        if self.rear:
            self.rear.close()
