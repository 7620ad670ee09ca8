"""From gradients to new weights: torch's optimizers, at the end of the step or fused into it."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from blockwise.quant import ParameterRule, ParameterRules
from blockwise.system.compiler import spare_compiler
from blockwise.training.schedules import SCHEDULES
from blockwise.training.sizes import step
from devices.errors import unknown_name

WEIGHT_DECAY = 5e-4
"""Unless the user says otherwise; on convolution and linear weights only: norms, biases and step sizes are
not decayed."""

OPTIMIZERS: dict[str, Callable[[Iterable[Any]], Optimizer]] = {
    "sgd": lambda groups: SGD(groups, lr=0.0),
    "sgd-momentum": lambda groups: SGD(groups, lr=0.0, momentum=0.9, nesterov=True),
    "adam": lambda groups: Adam(groups, lr=0.0),
}
DEFAULT_LEARNING_RATE: dict[str, float] = {"sgd": 0.2, "sgd-momentum": 0.1, "adam": 2e-3}
"""The highest rate of the schedule."""
LOADING = (Optimizer.add_param_group, Optimizer.zero_grad, Optimizer.state_dict, Optimizer.load_state_dict)
"""The compiler, when they are called for the first time."""


class Updater:
    """Steps ``parameters``. With ``fused`` each is updated, and its gradient freed, during backward.

    Both forms make the same updates: each parameter's step depends on its own gradient only.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        optimizer: str,
        *,
        fused: bool,
        rules: ParameterRules | None = None,
        peak: float = 0.0,
        schedule: str = "one-cycle",
        weight_decay: float = WEIGHT_DECAY,
    ) -> None:
        """``peak`` is the highest learning rate of the schedule."""
        if optimizer not in OPTIMIZERS:
            raise unknown_name("optimizer", optimizer, OPTIMIZERS)
        make, self._peak, self._share = OPTIMIZERS[optimizer], peak, SCHEDULES[schedule]
        self._weight_decay = weight_decay
        self._rules = rules or ParameterRules()
        self._parameters = list(parameters)
        spare_compiler(*LOADING)
        groups = [self._group(p) for p in self._parameters]
        self.fused = fused
        self.optimizers = [make([group]) for group in groups] if fused else [make(_merged(groups))]
        self._hooks = [self._hook(o) for o in self.optimizers] if fused else []

    def _hook(self, optimizer: Optimizer) -> Any:
        (parameter,) = optimizer.param_groups[0]["params"]

        def apply(parameter: Tensor) -> None:
            step(optimizer)
            parameter.grad = None
            self._rules.constrain([parameter])

        return parameter.register_post_accumulate_grad_hook(apply)

    def set_progress(self, done: int, total: int) -> None:
        """``done`` of ``total`` steps are behind the next one: set its learning rate."""
        self.set_learning_rate(self._peak * self._share(done, total))

    def set_learning_rate(self, rate: float) -> None:
        """The rate of the steps to come."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["lr_scale"]

    def finish_step(self) -> None:
        """Apply and free the gradients that wait for the end of the step."""
        if not self.fused:
            step(self.optimizers[0])
            self.optimizers[0].zero_grad(set_to_none=True)
            self._rules.constrain(self._parameters)

    def forget_resized(self) -> None:
        """Drop the state of parameters that have changed their size, as codebooks do in a bit chain."""
        for optimizer in self.optimizers:
            for parameter, state in list(optimizer.state.items()):
                kept = [v for v in state.values() if isinstance(v, Tensor) and v.ndim]
                if any(v.shape != parameter.shape for v in kept):
                    del optimizer.state[parameter]

    def close(self) -> None:
        """Take the hooks off the parameters."""
        for hook in self._hooks:
            hook.remove()

    def state_dict(self) -> list[dict[str, Any]]:
        """State of all optimizers, for a checkpoint."""
        return [optimizer.state_dict() for optimizer in self.optimizers]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Restore what :meth:`state_dict` gave."""
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict(state)

    def _group(self, parameter: nn.Parameter) -> dict[str, Any]:
        rule = rule_of(parameter, self._rules, self._weight_decay)
        decay = {"weight_decay": rule.weight_decay, "size_decay": None}
        if rule.size:
            decay = {"weight_decay": 0.0, "size_decay": rule.weight_decay}
        return {"params": [parameter], "lr_scale": rule.lr_scale, **decay}

    def tensors(self) -> list[Tensor]:
        """The optimizer state."""
        values = (v for o in self.optimizers for s in o.state.values() for v in s.values())
        return [value for value in values if isinstance(value, torch.Tensor)]


def rule_of(parameter: Tensor, rules: ParameterRules, weight_decay: float) -> ParameterRule:
    """How ``parameter`` is stepped: by its method's rule, or with the decay of weights if it is one."""
    rule = rules.rules.get(parameter)
    return rule or ParameterRule(weight_decay=weight_decay if parameter.ndim > 1 else 0.0)


def _merged(groups: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One group for all parameters that are treated alike: an accelerator steps them in a few kernels."""
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for group in groups:
        key = tuple(value for name, value in group.items() if name != "params")
        merged.setdefault(key, {**group, "params": []})["params"] += group["params"]
    return list(merged.values())
