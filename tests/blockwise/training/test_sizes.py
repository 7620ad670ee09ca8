"""Steps of trained sizes, held against arithmetic by hand, torch.optim and the steps that mirror them."""

import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from blockwise import models, quant
from blockwise.data import Dataset, load
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.quant.methods.lsq import LSQ
from blockwise.quant.quantizer import SIZE, ParameterRule
from blockwise.training import REGIMES, Run, TrainOptions, updater
from blockwise.training.updater import OPTIMIZERS, Updater
from devices.program.regimes import Step

FREE = {"dsq": {"alpha"}, "qil": {"center"}, "lsq-plus": {"offset"}}
"""Trained numbers of quantizers that are no sizes: they may be zero, or have limits of their own."""

SIZED = [
    pytest.param(entry.name, role, id=f"{entry.name}-{role}")
    for entry in quant.METHODS.values()
    for role in quant.ROLES
    if entry.quantizer(role) is not None and entry.quantizer(role).rules
]


def scalar(value: float, rule: ParameterRule = SIZE, optimizer: str = "sgd", *, fused: bool = False):
    """A parameter, and what updates it."""
    parameter = torch.nn.Parameter(torch.tensor(value, dtype=torch.float64))
    return parameter, Updater(
        [parameter], optimizer, fused=fused, rules=quant.ParameterRules({parameter: rule})
    )


def pull(parameter: torch.Tensor, updater: Updater, gradient: float, rate: float) -> float:
    updater.set_learning_rate(rate)
    (parameter * gradient).backward()
    updater.finish_step()
    return parameter.item()


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(
    ("value", "gradient", "rate", "change"),
    [
        (2.0, 0.1, 0.5, -0.025),  # 0.1 / 2, times the rate
        (2.0, -0.1, 0.5, 0.025),
        (2.0, 5.0, 0.5, -0.05),  # counts as a tenth
        (2.0, -5.0, 0.5, 0.05),
        (2.0, 1e30, 50.0, -5.0),
        (-2.0, 0.1, 0.5, 0.025),  # a lower end below zero moves away from it
        (-2.0, -5.0, 50.0, -5.0),
    ],
)
def test_a_size_is_multiplied_by_e_to_its_step(fused, value, gradient, rate, change):
    size, updater = scalar(value, fused=fused)
    assert pull(size, updater, gradient, rate) == pytest.approx(value * math.exp(change), rel=1e-6)


def test_the_decay_of_a_size_is_that_of_its_value():
    """d/da (decay / 2) a^2 = decay a, which is the share ``decay`` of it."""
    size, updater = scalar(2.0, ParameterRule(weight_decay=0.01, size=True))
    assert pull(size, updater, 0.1, 0.5) == pytest.approx(2 * math.exp(-0.5 * (0.1 / 2 + 0.01)), rel=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "sgd-momentum"])
def test_small_steps_of_a_size_are_those_of_torch_optim(optimizer):
    (size, sized), (plain, free) = scalar(3.0, SIZE, optimizer), scalar(3.0, ParameterRule(), optimizer)
    for gradient in (0.05, -0.02, 0.08):
        a, b = pull(size, sized, gradient, 1e-3), pull(plain, free, gradient, 1e-3)
        assert a - 3 == pytest.approx(b - 3, rel=1e-3)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_size_that_is_pulled_down_stays_above_zero_and_comes_back_as_fast(optimizer, fused):
    size, updater = scalar(1.0, SIZE, optimizer, fused=fused)
    rate = 0.1 if optimizer == "adam" else 0.5
    down = [pull(size, updater, 1e3, rate) for _ in range(60)]
    assert all(0 < b < a for a, b in pairwise([1.0, *down]))
    assert down[-1] < 0.1
    up = [pull(size, updater, -1e3, rate) for _ in range(90)]
    assert up[-1] > 1


def test_a_size_of_zero_can_leave_it():
    size, updater = scalar(0.0)
    seen = [pull(size, updater, -1.0, 1.0) for _ in range(320)]
    assert seen[-1] > 1


@pytest.mark.parametrize("entry", quant.METHODS.values(), ids=quant.METHODS)
def test_every_trained_number_of_a_quantizer_is_a_size_or_said_not_to_be(entry):
    for role in quant.ROLES:
        if entry.quantizer(role) is not None:
            made = quant.make(entry.name, entry.bits(role)[-1], role, (4, 4))
            numbers = {name for name, p in made.named_parameters() if not p.ndim}
            sizes = {name for name in numbers if made.rules.get(name, ParameterRule()).size}
            assert numbers - sizes == FREE.get(entry.name, set()) & numbers


@pytest.mark.parametrize("value", [0.0, 1e-20, 1e-9, -1e-20])
@pytest.mark.parametrize(("name", "role"), SIZED)
def test_a_size_near_zero_has_a_gradient_that_is_finite_and_not_zero(name, role, value):
    x, g = (torch.randn(8, 6, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    made = quant.make(name, quant.method(name).bits(role)[-1], role, (8, 6))
    made(x)
    for number in dict(made.named_parameters()):
        if made.rules.get(number, ParameterRule()).size:
            twin = copy.deepcopy(made)
            with torch.no_grad():
                twin.get_parameter(number).fill_(value)
            twin(x).backward(g)
            gradient = twin.get_parameter(number).grad
            assert gradient.isfinite()
            # nothing lies within an interval of no width: it moves by its centre
            assert gradient != 0 or number == "distance"


@pytest.fixture(scope="module")
def digits() -> Dataset:
    full = load("digits", seed=0)
    return replace(full, train=full.train.select(torch.arange(320)))


class Watched(Run):
    """A run that notes the least value that any step size has had."""

    least = float("inf")

    def _step(self, *args: object, **kwargs: object) -> torch.Tensor:
        loss = super()._step(*args, **kwargs)  # type: ignore[arg-type]
        self.least = min(self.least, *(q.step.item() for q in steps(self.net)))
        return loss


def steps(net: torch.nn.Module) -> Iterator[LSQ]:
    return (m for m in net.modules() if isinstance(m, LSQ))


def lsq_network() -> BlockNet:
    torch.manual_seed(0)
    chain = models.build("cnn", (1, 8, 8), 10, 4)
    groups = Anatomy(chain, "gap").cut("layers", Step())
    quant.quantize(chain, "lsq")
    return BlockNet(chain, groups, "gap")


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd-momentum", 1.0), ("adam", 0.02)])
def test_steps_that_cross_zero_by_the_optimizer_alone_stay_above_it(digits, optimizer, rate, monkeypatch):
    options = TrainOptions(
        epochs=2, batch_size=16, optimizer=optimizer, learning_rate=rate, fused=False, seed=0
    )  # fmt: skip
    run = Watched(lsq_network(), digits, REGIMES["bp"], options)
    run.train()
    assert run.least > 0
    monkeypatch.setattr(updater, "step", lambda optimizer: optimizer.step())
    alone = Watched(lsq_network(), digits, REGIMES["bp"], options)
    alone.train()
    assert alone.least < 0


def test_the_sizes_of_a_network_are_its_steps():
    net = lsq_network()
    rules = quant.ParameterRules.of(net).rules
    assert {parameter for parameter, rule in rules.items() if rule.size} == {q.step for q in steps(net)}
