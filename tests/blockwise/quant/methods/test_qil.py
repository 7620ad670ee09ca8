"""QIL against the transformer of Jung et al. 2019, element by element and by finite differences."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import quant
from blockwise.quant.methods.qil import transform
from devices.errors import InputError

BITS = range(2, 9)
numbers = st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=30)


def set_to(role: str, bits: int, **values: float) -> quant.Quantizer:
    quantizer = quant.make("qil", bits, role).double()
    quantizer.set_up(torch.ones(1))
    with torch.no_grad():
        for name, value in values.items():
            quantizer.get_parameter(name).fill_(value)
    return quantizer


def scalar(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


def transformed(w: float, c: float, d: float, gamma: float) -> float:
    """The paper's three cases, with its alpha and beta."""
    if abs(w) < c - d:
        return 0.0
    if abs(w) > c + d:
        return math.copysign(1, w)
    alpha, beta = 0.5 / d, 0.5 - 0.5 * c / d
    return math.copysign(max(alpha * abs(w) + beta, 0) ** gamma, w)


@pytest.mark.parametrize("bits", BITS)
@settings(max_examples=20)
@given(w=numbers, c=st.floats(0.5, 1.5), d=st.floats(0.1, 0.5), gamma=st.floats(0.5, 2))
def test_weights_are_the_rounded_transforms(bits, w, c, d, gamma):
    y = set_to("weight", bits, center=c, distance=d, gamma=gamma)(torch.tensor(w, dtype=torch.float64))
    q = 2 ** (bits - 1) - 1
    for value, v in zip(y.tolist(), w, strict=True):
        level = transformed(v, c, d, gamma) * q
        if abs(level % 1 - 0.5) > 1e-6:  # a tie may fall either way in floating point
            assert value == pytest.approx(round(level) / q)


@pytest.mark.parametrize("bits", range(1, 9))
@settings(max_examples=20)
@given(a=numbers, c=st.floats(0.2, 1.5), d=st.floats(0.1, 1))
def test_activations_are_the_rounded_place_in_the_interval(bits, a, c, d):
    y = set_to("activation", bits, center=c, distance=d)(torch.tensor(a, dtype=torch.float64))
    q = 2**bits - 1
    for value, v in zip(y.tolist(), a, strict=True):
        level = min(max(0.5 / d * max(v, 0) + 0.5 - 0.5 * c / d, 0), 1) * q  # the paper's stand behind a ReLU
        if abs(level % 1 - 0.5) > 1e-6:
            assert value == pytest.approx(round(level) / q)


@pytest.mark.parametrize("gamma", [0.7, 1.0, 1.6])
def test_the_transformer_is_differentiated_as_finite_differences_do(gamma):
    w = torch.tensor([-2.0, -0.9, -0.5, -0.1, 0.05, 0.3, 0.61, 1.1, 1.7], dtype=torch.float64)
    arguments = (w.requires_grad_(), scalar(0.2), scalar(1.2), scalar(gamma))
    assert torch.autograd.gradcheck(transform, arguments)


def test_the_gradients_of_weights_are_those_of_the_transformer():
    w = torch.randn(4, 60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    upstream = torch.randn(4, 60, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    quantizer = set_to("weight", 3, center=0.9, distance=0.6, gamma=1.3)
    x, smooth = w.clone().requires_grad_(), w.clone().requires_grad_()
    quantizer(x).backward(upstream)
    c, d, gamma = scalar(0.9), scalar(0.6), scalar(1.3)
    transform(smooth, c - d, 2 * d, gamma).backward(upstream)
    torch.testing.assert_close(x.grad, smooth.grad)
    for name, expected in (("center", c), ("distance", d), ("gamma", gamma)):
        torch.testing.assert_close(quantizer.get_parameter(name).grad, expected.grad)


def test_the_gradients_of_activations_are_those_of_the_clipped_line():
    a = torch.randn(4, 60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    upstream = torch.randn(4, 60, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    quantizer = set_to("activation", 3, center=0.9, distance=0.6)
    x, smooth = a.clone().requires_grad_(), a.clone().requires_grad_()
    quantizer(x).backward(upstream)
    c, d = scalar(0.9), scalar(0.6)
    (0.5 / d * smooth + 0.5 - 0.5 * c / d).clamp(0, 1).backward(upstream)
    torch.testing.assert_close(x.grad, smooth.grad)
    torch.testing.assert_close(quantizer.center.grad, c.grad)
    torch.testing.assert_close(quantizer.distance.grad, d.grad)


def test_three_bit_weights_by_hand():
    w = torch.tensor([-2.0, -1.0, -0.6, -0.3, 0.0, 0.2, 0.7, 1.4], dtype=torch.float64)
    y = set_to("weight", 3, center=0.75, distance=0.5)(w)  # pruned below 0.25, clipped above 1.25
    # places of 1.0, 0.6, 0.3, 0.7: 0.75, 0.35, 0.05, 0.45, times 3: 2.25, 1.05, 0.15, 1.35
    assert y.tolist() == pytest.approx([-1, -2 / 3, -1 / 3, 0, 0, 0, 1 / 3, 1])


def test_pruned_and_clipped_values_pass_no_gradient_and_move_nothing():
    """The pitfall: what lies outside the interval is lost, unless values inside move its ends."""
    for role in ("weight", "activation"):
        quantizer = set_to(role, 3, center=0.75, distance=0.5)
        x = torch.tensor([0.2, 1.3, 5.0], dtype=torch.float64, requires_grad=True)
        quantizer(x).sum().backward()
        assert x.grad.tolist() == [0, 0, 0]
        assert all(p.grad.item() == 0 for p in quantizer.parameters())


@pytest.mark.parametrize("role", ["weight", "activation"])
def test_the_upper_end_of_the_interval_belongs_to_it(role):
    x = torch.tensor([1.25], dtype=torch.float64, requires_grad=True)
    y = set_to(role, 3, center=0.75, distance=0.5)(x)
    y.backward()
    assert y.item() == 1
    assert x.grad.item() == 1  # 0.5 / d


@pytest.mark.parametrize("gamma", [0.3, 0.0, -0.5])
def test_powers_below_one_have_finite_gradients_at_the_lower_end(gamma):
    """The slope of share^gamma is infinite there."""
    quantizer = set_to("weight", 3, center=0.5, distance=0.5, gamma=gamma)
    x = torch.tensor([0.0, 1e-9, -1e-5, 0.1, 1.0], dtype=torch.float64, requires_grad=True)
    y = quantizer(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()
    assert all(p.grad.isfinite() for p in quantizer.parameters())


@pytest.mark.parametrize("distance", [-0.5, 0.0])
@pytest.mark.parametrize("role", ["weight", "activation"])
def test_a_negative_distance_counts_as_its_magnitude_and_zero_divides_nothing(role, distance):
    x = torch.linspace(-3, 3, 61, dtype=torch.float64).requires_grad_()
    quantizer = set_to(role, 3, center=0.75, distance=distance)
    y = quantizer(x)
    y.sum().backward()
    torch.testing.assert_close(y, set_to(role, 3, center=0.75, distance=max(-distance, 1e-8))(x))
    assert all(g.isfinite().all() for g in (x.grad, *(p.grad for p in quantizer.parameters())))


@pytest.mark.parametrize("role", ["weight", "activation"])
def test_the_interval_starts_at_zero_and_ends_where_the_error_is_least(role):
    x = torch.randn(20, 100, generator=torch.Generator().manual_seed(0))
    quantizer = quant.make("qil", 4, role)
    quantizer(x)
    low, width = (t.item() for t in quantizer._interval())
    kept, q = (x.abs(), 7) if role == "weight" else (x.relu(), 15)

    def error(end: float) -> float:
        return ((kept / end).clamp(0, 1).mul(q).round() / q * end - kept).square().sum().item()

    assert low == 0
    assert error(width) == pytest.approx(
        min(error(k / 40 * kept.max().item()) for k in range(1, 41)), rel=1e-3
    )


def test_gamma_starts_at_one_and_only_weights_have_it():
    assert quant.make("qil", 3, "weight").gamma.item() == 1
    assert not hasattr(quant.make("qil", 3, "activation"), "gamma")


def test_the_interval_learns_at_a_hundredth_of_the_rate():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    quantizer = quant.quantize(model, "qil", 3, 3)[1].weight_quantizer
    rules = quant.ParameterRules.of(model).rules
    assert {rules[p].lr_scale for p in quantizer.parameters()} == {0.01}


def test_one_bit_weights_would_all_be_zero_and_are_refused():
    with pytest.raises(InputError, match="weight bits: got 1, wanted 2 to 8 or 16 with qil"):
        quant.make("qil", 1, "weight")


@pytest.mark.parametrize("bits", [2, 3, 8])
@given(x=numbers, center=st.floats(0.1, 1), distance=st.floats(0.1, 1.5))
@settings(max_examples=50, deadline=None)
def test_a_relu_is_part_of_activations_wherever_the_interval_begins(bits, x, center, distance):
    quantizer = set_to("activation", bits, center=center, distance=distance)
    v = torch.tensor(x, dtype=torch.float64)
    assert torch.equal(quantizer(v), quantizer(v.relu()))
    assert torch.equal(quantizer.codes(v), quantizer.codes(v.relu()))


def test_what_the_relu_cuts_moves_an_interval_around_zero_and_gets_no_gradient():
    """Of y = (a - low) / width, a = max(x, 0): by hand."""
    center, distance = 0.3, 0.5  # from -0.2 to 0.8, a width of 1
    quantizer = set_to("activation", 8, center=center, distance=distance)
    x = torch.tensor([-1.0, -0.1, 0.3, 0.7, 0.9], dtype=torch.float64, requires_grad=True)
    g = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0], dtype=torch.float64)
    quantizer(x).backward(g)
    assert x.grad.tolist() == [0, 0, 4, 8, 0]
    low = -(1 + 2 + 4 + 8)
    width = -(1 * 0.2 + 2 * 0.2 + 4 * 0.5 + 8 * 0.9)
    assert quantizer.center.grad.item() == pytest.approx(low)
    assert quantizer.distance.grad.item() == pytest.approx(-low + 2 * width)


def test_magnitudes_have_no_interval_of_their_own():
    """One that begins beside zero would have two levels next to it and none at it."""
    assert isinstance(
        quant.scheme("qil").floats(4, signed=True).magnitude, type(quant.make("lsq", 3, "activation"))
    )
