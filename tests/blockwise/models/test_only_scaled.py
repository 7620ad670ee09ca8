"""Norms with a scale and no shift: they learn the scale, and nothing else."""

import copy
from collections.abc import Callable

import pytest
import torch
from one_step import OneStep
from torch import Tensor, nn
from torch.nn import functional as F

from blockwise.models import from_module

SHAPE = (1, 8, 8)
Function = Callable[[nn.Module, Tensor], Tensor]


class Net(nn.Module):
    """``function`` of a map of 4 channels, which may call a norm, before a classifier."""

    def __init__(self, function: Function, norm: nn.Module) -> None:
        super().__init__()
        self.conv, self.function, self.norm = nn.Conv2d(1, 4, 3, padding=1), function, copy.deepcopy(norm)
        self.fc = nn.Linear(256, 3)
        nn.init.uniform_(self.norm.weight, 0.5, 1.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.relu(self.function(self, self.conv(x))).flatten(1))


LAST = nn.LayerNorm(4, bias=False)
CASES: dict[str, tuple[Function, nn.Module]] = {
    "tokens": (lambda m, x: m.norm(x.flatten(2).mT), LAST),
    "tokens, called": (lambda m, x: F.layer_norm(x.flatten(2).mT, (4,), m.norm.weight), LAST),
    "channels last": (lambda m, x: m.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), LAST),
    "rows": (lambda m, x: m.norm(x), nn.LayerNorm(8, bias=False)),
    "maps": (lambda m, x: m.norm(x), nn.LayerNorm((4, 8, 8), bias=False)),
    "flat": (lambda m, x: m.norm(x.flatten(1)), nn.LayerNorm(256, bias=False)),
    "flat, called": (
        lambda m, x: F.layer_norm(x.flatten(1), (256,), m.norm.weight), nn.LayerNorm(256, bias=False),
    ),
    "groups": (lambda m, x: m.norm(x), nn.GroupNorm(2, 4, bias=False)),
    "instances": (lambda m, x: m.norm(x), nn.InstanceNorm2d(4, affine=True, bias=False)),
    "batches": (lambda m, x: m.norm(x), nn.BatchNorm2d(4, bias=False)),
}  # fmt: skip


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    return Net(*CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_same_function_with_the_same_gradients_and_parameters(name):
    module = made(name)
    chain, x = from_module(module, SHAPE), torch.randn(3, *SHAPE)
    outcomes = []
    for net in (module, chain):
        y = net.train()(x)
        y.square().sum().backward()
        squares = sorted(p.grad.double().square().sum().item() for p in net.parameters())
        outcomes.append((y, squares))
    torch.testing.assert_close(outcomes[1][0], outcomes[0][0])
    assert outcomes[1][1] == pytest.approx(outcomes[0][1], rel=1e-4, abs=1e-8)
    layers = chain.describe(blocks="1", head="gap").layers
    (affine,) = (layer.op for layer in layers if layer.kind == "affine")
    assert (affine.scales, affine.shifts) == (True, False)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_step_on_bytes_is_that_of_the_simulation(name):
    for method in ("fp32", "lsq"):
        step = OneStep("bp", from_module(made(name), SHAPE), method=method, blocks="1", head="gap", batch=4)
        assert step.run() < 1e-5, (method, step.worst())
