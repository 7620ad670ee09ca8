"""Plain networks of one's own on integers: their steps on bytes, and what they compute."""

import pytest
import torch
from integer_steps import IntegerSteps
from plain_modules import PLAIN, first, row
from tiers import quick
from torch import nn

import blockwise
from blockwise import models
from blockwise.integer.arithmetics import arithmetic_of
from blockwise.integer.images import from_pixels
from blockwise.integer.layers import weighted
from blockwise.integer.net import IntegerNet
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from devices.program.regimes import Step
from devices.trainability import obstacle

pytestmark = pytest.mark.floats  # the float network from which an integer one is made


def module_of(name: str) -> tuple[tuple[int, ...], nn.Module]:
    torch.manual_seed(0)
    shape, make = PLAIN[name]
    return shape, make()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    quick(
        PLAIN,
        "signals",
        "functions",
        "convolutions without an activation",
        "activations behind pools of several blocks",
    ),
)
def test_steps_on_bytes_end_with_the_bits_of_the_simulation(name, integers_only):
    shape, module = module_of(name)
    for regime, twice in (("niti-local", False), ("niti4-jump", True), ("nitro-local", False)):
        network = models.from_module(module, shape).describe(blocks="layers", head="gap")
        if regime == "nitro-local" and obstacle(network, regime, 3):  # means of no power of two
            continue
        steps = IntegerSteps(regime, module, 3, twice, in_shape=shape)
        with integers_only():
            assert steps.run(2) == [], regime


def integer_net(module: nn.Module, shape: tuple[int, ...]) -> IntegerNet:
    chain = models.from_module(module, shape)
    net = BlockNet(chain, Anatomy(chain, "gap").cut("1", Step()), "gap")
    return IntegerNet(net, arithmetic_of("niti"), 7)


@pytest.mark.parametrize("name", PLAIN)
def test_an_integer_network_computes_what_the_module_does_by_the_same_weights(name):
    """Rounding apart: 7 bits of each layer's largest value."""
    shape, module = module_of(name)
    net = integer_net(module, shape).eval()
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)]
    for layer, own in zip(layers, weighted(net.bodies), strict=True):
        form = net.arithmetic.form(own.place)  # type: ignore[attr-defined]
        operand = form.operand(own.weight, own.place.steps.groups)
        with torch.no_grad():
            layer.weight.copy_(operand.mantissa.float() * 2.0**operand.exponent)
            layer.bias.zero_()
    images = torch.randint(0, 256, (16, *shape), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    pixels = from_pixels(images)
    with torch.no_grad():
        expected = module(pixels.mantissa.float() * 2.0**pixels.exponent)
    found = net.body(0)(images)
    logits = found.mantissa.float() * 2.0**found.exponent
    assert (logits - expected).norm() < 0.06 * expected.norm()


def digest(module: nn.Module) -> list[list[int]]:
    """The weights behind two steps."""
    steps = IntegerSteps("niti-local", module, 4, in_shape=(1, 8, 8))
    assert steps.run(2) == []
    return [layer.weight.flatten().tolist() for layer in weighted(steps.net.bodies)]


def test_an_activation_behind_a_pool_is_that_before_it():
    pooled, before = nn.MaxPool2d(2), row(first(), nn.ReLU(), nn.MaxPool2d(2), features=64)
    assert digest(row(first(), pooled, nn.ReLU(), features=64)) == digest(before)


@pytest.mark.parametrize("regime", ["niti", "niti-local", "niti4", "niti4-jump-resident", "nitro-local"])
def test_plans_do_not_know_on_which_side_of_its_pool_an_activation_stands(regime):
    def network(*middle: nn.Module) -> nn.Sequential:
        return row(first(), *middle, nn.Conv2d(4, 6, 3, padding=1), *middle, features=24)

    orders = (nn.MaxPool2d(2), nn.ReLU()), (nn.ReLU(), nn.MaxPool2d(2))
    options = {"in_shape": (1, 8, 8), "classes": 3, "batch_size": 16, "head": "gap", "blocks": "layers"}
    behind, before = (blockwise.plan(network(*middle), regime=regime, **options) for middle in orders)
    assert behind.peak_bytes == before.peak_bytes
    assert sorted(t.bytes for t in behind.schedule.tensors.values()) == sorted(
        t.bytes for t in before.schedule.tensors.values()
    )


def test_an_activation_of_what_is_not_below_zero_is_none():
    twice = row(first(), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU(), features=64)
    assert digest(twice) == digest(row(first(), nn.ReLU(), nn.MaxPool2d(2), features=64))
