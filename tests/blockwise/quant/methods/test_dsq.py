"""DSQ against the soft staircase of Gong et al. 2019, written out in float64 and by finite differences."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import models, quant
from blockwise.data import load
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.training import REGIMES, Run, TrainOptions
from devices.program.regimes import Step

ROLES = ("weight", "activation")
LOWER, UPPER = -0.9, 1.3


def set_to(role: str, bits: int, **values: float) -> quant.Quantizer:
    quantizer = quant.make("dsq", bits, role).double()
    quantizer.set_up(torch.ones(1))
    with torch.no_grad():
        for name, value in values.items():
            quantizer.get_parameter(name).fill_(value)
    return quantizer


def between(role: str, bits: int, alpha: float = 0.2) -> quant.Quantizer:
    ends = {"lower": LOWER, "upper": UPPER} if role == "weight" else {"upper": UPPER}
    return set_to(role, bits, alpha=alpha, **ends)


def soft(x: float, lower: float, upper: float, alpha: float, bits: int) -> float:
    """Q_S of the paper: equations 4 and 7 with s = 1 / (1 - alpha), k = ln(2 / alpha - 1) / Delta."""
    delta = (upper - lower) / (2**bits - 1)
    if x <= lower or x >= upper:
        return lower if x <= lower else upper
    cell = math.floor((x - lower) / delta)
    middle = lower + (cell + 0.5) * delta
    phi = math.tanh(math.log(2 / alpha - 1) / delta * (x - middle)) / (1 - alpha)
    return lower + delta * (cell + 0.5 + phi / 2)


class Sign(torch.autograd.Function):
    """sgn(phi) whose derivative counts as that of phi."""

    @staticmethod
    def forward(ctx, phi):
        return torch.where(phi >= 0, 1.0, -1.0).to(phi.dtype)

    @staticmethod
    def backward(ctx, g):
        return g


def composed(x, lower, upper, alpha, bits):
    """The hard staircase as autograd sees it, with :class:`Sign` in the place of the sign."""
    delta = (upper - lower) / (2**bits - 1)
    clipped = torch.minimum(torch.maximum(x, lower), upper)
    cell = ((clipped - lower) / delta).detach().floor().clamp(0, 2**bits - 2)
    middle = lower + (cell + 0.5) * delta
    phi = torch.tanh(torch.log(2 / alpha - 1) / delta * (clipped - middle)) / (1 - alpha)
    return lower + delta * (cell + (Sign.apply(phi) + 1) / 2)


def points() -> torch.Tensor:
    """From well below to well above the range, away from its ends and the edges of cells."""
    return torch.linspace(-1.51, 1.83, 97, dtype=torch.float64)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("bits", [1, 2, 3, 8])
@settings(max_examples=20)
@given(x=st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=30), alpha=st.floats(0.05, 0.8))
def test_values_are_the_nearest_levels_whatever_alpha(role, bits, x, alpha):
    y = between(role, bits, alpha)(torch.tensor(x, dtype=torch.float64))
    lower = LOWER if role == "weight" else 0.0
    levels = [lower + k * (UPPER - lower) / (2**bits - 1) for k in range(2**bits)]
    for value, v in zip(y.tolist(), x, strict=True):
        clipped = min(max(v, lower), UPPER)
        assert abs(value - clipped) == pytest.approx(min(abs(q - clipped) for q in levels), abs=1e-9)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("bits", [1, 2, 3, 8])
@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.7])
def test_the_gradients_of_value_and_alpha_are_finite_differences_of_the_soft_staircase(role, bits, alpha):
    lower, h = LOWER if role == "weight" else 0.0, 1e-6
    for v in points().tolist()[::4]:
        quantizer = between(role, bits, alpha)
        x = torch.tensor([v], dtype=torch.float64, requires_grad=True)
        quantizer(x).backward()
        by_value = soft(v + h, lower, UPPER, alpha, bits) - soft(v - h, lower, UPPER, alpha, bits)
        by_alpha = soft(v, lower, UPPER, alpha + h, bits) - soft(v, lower, UPPER, alpha - h, bits)
        assert x.grad.item() == pytest.approx(by_value / (2 * h), rel=1e-4, abs=1e-6)
        assert quantizer.alpha.grad.item() == pytest.approx(by_alpha / (2 * h), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("bits", [1, 2, 3, 8])
def test_all_gradients_are_autograds_with_the_sign_passing_that_of_phi(role, bits):
    x = points()[None].requires_grad_()
    twin = points()[None].requires_grad_()
    upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    quantizer = between(role, bits, 0.3)
    quantizer(x).backward(upstream)
    lower, upper, alpha = (
        torch.tensor(v, dtype=torch.float64, requires_grad=True)
        for v in (LOWER if role == "weight" else 0.0, UPPER, 0.3)
    )
    y = composed(twin, lower, upper, alpha, bits)
    y.backward(upstream)
    torch.testing.assert_close(quantizer(x), y)
    torch.testing.assert_close(x.grad, twin.grad)
    torch.testing.assert_close(quantizer.upper.grad, upper.grad)
    torch.testing.assert_close(quantizer.alpha.grad, alpha.grad)
    if role == "weight":
        torch.testing.assert_close(quantizer.lower.grad, lower.grad)


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_the_soft_staircase_has_no_gaps(bits):
    """phi is -1 and 1 at the ends of a cell, so that its place among cells needs no gradient."""
    delta = (UPPER - LOWER) / (2**bits - 1)
    for k in range(2**bits):
        edge = LOWER + k * delta
        sides = [soft(edge + e, LOWER, UPPER, 0.2, bits) for e in (-1e-9, 1e-9)]
        assert sides == pytest.approx([edge, edge], abs=1e-6)


def test_at_the_middle_of_a_cell_the_slope_is_steep_and_at_its_ends_flat():
    x = torch.tensor([0.5, 0.999999, 0.000001], dtype=torch.float64, requires_grad=True)
    set_to("activation", 2, upper=3.0)(x).sum().backward()
    middle = math.log(9) / 0.8 / 2
    assert x.grad.tolist() == pytest.approx([middle, middle * 0.36, middle * 0.36], rel=1e-4)


def test_close_to_one_alpha_leaves_the_straight_through_estimator():
    x = torch.linspace(0.01, 2.99, 50, dtype=torch.float64).requires_grad_()
    set_to("activation", 2, upper=3.0, alpha=0.9)(x).sum().backward()
    assert x.grad.tolist() == pytest.approx([1] * 50, abs=0.01)


@pytest.mark.parametrize(("alpha", "counts_as"), [(-0.4, 1e-3), (0.0, 1e-3), (0.97, 0.9), (3.0, 0.9)])
def test_outside_its_limits_alpha_counts_as_the_nearer_one_and_learns_on(alpha, counts_as):
    gradients = []
    for value in (alpha, counts_as):
        quantizer = set_to("activation", 3, upper=3.0, alpha=value)
        x = points().requires_grad_()
        quantizer(x).square().sum().backward()
        gradients.append((x.grad, quantizer.alpha.grad))
    torch.testing.assert_close(*gradients)
    assert gradients[0][1].isfinite()
    assert gradients[0][1] != 0


def test_the_middle_of_a_cell_goes_up():
    """The sign of 0 is +1, at one bit too."""
    y = set_to("weight", 1, lower=-1.0, upper=1.0)(torch.tensor([-1e-9, -0.0, 0.0]).double())
    assert y.tolist() == [-1, 1, 1]


def test_beyond_the_range_gradients_go_to_its_end():
    quantizer = between("weight", 3)
    x = torch.tensor([-2.0, -1.0, 1.5, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    quantizer(x).sum().backward()
    assert x.grad.tolist() == [0] * 5
    assert (quantizer.lower.grad.item(), quantizer.upper.grad.item()) == pytest.approx((2, 3))
    assert quantizer.alpha.grad.item() == 0


@pytest.mark.parametrize("upper", [LOWER, -5.0])
def test_ends_that_meet_or_cross_leave_everything_finite(upper):
    quantizer = set_to("weight", 3, lower=LOWER, upper=upper)
    x = points().requires_grad_()
    y = quantizer(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert all(g.isfinite().all() for g in (x.grad, *(p.grad for p in quantizer.parameters())))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_range_starts_where_the_squared_error_is_least_and_alpha_at_a_fifth(bits):
    x = torch.randn(20, 100, generator=torch.Generator().manual_seed(0))
    for role, low in (("weight", -1), ("activation", 0)):
        quantizer = quant.make("dsq", bits, role)
        quantizer(x)
        kept, n = x if role == "weight" else x.relu(), 2**bits - 1

        def error(end: float, kept=kept, low=low, n=n) -> float:
            grid = torch.linspace(low * end, end, n + 1)
            return (kept[..., None] - grid).square().amin(-1).sum().item()

        best = min(error(k / 40 * kept.abs().max().item()) for k in range(1, 41))
        assert error(quantizer.upper.item()) == pytest.approx(best, rel=1e-3)
        assert quantizer.alpha.item() == pytest.approx(0.2)
        if role == "weight":
            assert quantizer.lower == -quantizer.upper


def test_alpha_learns_at_a_hundredth_of_the_rate():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    quantizer = quant.quantize(model, "dsq", 3, 3)[1].weight_quantizer
    rules = quant.ParameterRules.of(model).rules
    scales = {name: rules[p].lr_scale for name, p in quantizer.named_parameters()}
    assert scales == {"lower": 1, "upper": 1, "alpha": 0.01}


def test_in_training_the_staircase_stays_soft_and_the_ends_move():
    torch.manual_seed(0)
    chain = models.build("cnn", (1, 8, 8), 10, 4)
    groups = Anatomy(chain, "gap").cut("layers", Step())
    quant.quantize(chain, "dsq")
    net = BlockNet(chain, groups, "gap")
    digits = load("digits", seed=0)
    digits = replace(digits, train=digits.train.select(torch.arange(640)))
    options = TrainOptions(
        epochs=4, batch_size=16, optimizer="sgd-momentum", learning_rate=0.1, fused=False, seed=0
    )
    Run(net, digits, REGIMES["bp"], options).train()
    alphas = [q.alpha.item() for q in net.modules() if hasattr(q, "alpha")]
    ends = [(q.lower.item(), q.upper.item()) for q in net.modules() if hasattr(q, "lower")]
    assert len(alphas) == 5 and alphas == pytest.approx([0.2] * 5, abs=0.05)
    assert len(ends) == 2 and all(abs(low + up) > 0.1 * up for low, up in ends)  # they began as -u and u
