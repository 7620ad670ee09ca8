"""DoReFa against the closed forms of Zhou et al. 2016, equations 5, 7, 9 and 11."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import quant

BITS = range(1, 9)
numbers = st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=30)


def q(x: float, bits: int) -> float:
    """Equation 5, with Python's rounding of halves to even."""
    levels = 2**bits - 1
    return round(levels * x) / levels


@pytest.mark.parametrize("bits", BITS)
@settings(max_examples=30)
@given(a=numbers)
def test_activations_are_clipped_to_the_unit_interval_and_rounded(bits, a):
    x = torch.tensor(a, dtype=torch.float64, requires_grad=True)
    y = quant.make("dorefa", bits, "activation")(x)
    y.sum().backward()
    assert y.tolist() == pytest.approx([q(min(max(v, 0), 1), bits) for v in a])
    assert x.grad.tolist() == [float(0 <= v <= 1) for v in a]


def test_both_ends_of_the_unit_interval_pass_gradients():
    x = torch.tensor([-1e30, -1e-30, 0.0, 0.5, 1.0, 1.0000001, 1e30, math.inf, -math.inf], requires_grad=True)
    quant.make("dorefa", 3, "activation")(x).backward(torch.full((9,), 3.0))
    assert x.grad is not None and x.grad.tolist() == [0, 0, 3, 3, 3, 0, 0, 0, 0]


@pytest.mark.parametrize("bits", range(2, 9))
@settings(max_examples=30)
@given(w=numbers.filter(lambda w: max(map(abs, w)) > 1e-3))
def test_weights_are_the_rounded_share_of_the_largest_tanh(bits, w):
    largest = max(abs(math.tanh(v)) for v in w)
    x = torch.tensor(w, dtype=torch.float64)
    y = quant.make("dorefa", bits, "weight")(x)
    levels = 2**bits - 1
    for value, v in zip(y.tolist(), w, strict=True):
        unit = math.tanh(v) / (2 * largest) + 0.5
        if abs(unit * levels % 1 - 0.5) > 1e-9:  # a tie may fall either way in floating point
            assert value == pytest.approx(2 * q(unit, bits) - 1)


@pytest.mark.parametrize("bits", range(2, 9))
@settings(max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_the_weight_gradient_is_autograds_on_the_formula_without_rounding(bits, seed):
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(4, 3, 3, 3, generator=generator, dtype=torch.float64)
    upstream = torch.randn(w.shape, generator=generator, dtype=torch.float64)
    x, smooth = w.clone().requires_grad_(), w.clone().requires_grad_()
    quant.make("dorefa", bits, "weight")(x).backward(upstream)
    squashed = smooth.tanh()
    (squashed / squashed.abs().max()).backward(upstream)  # 2 (t/(2 max) + 1/2) - 1
    torch.testing.assert_close(x.grad, smooth.grad)


@settings(max_examples=50)
@given(w=numbers)
def test_binary_weights_are_signs_times_the_mean_magnitude_and_pass_the_gradient(w):
    x = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    y = quant.make("dorefa", 1, "weight")(x)
    upstream = torch.arange(1.0, len(w) + 1, dtype=torch.float64)
    y.backward(upstream)
    mean = sum(abs(v) for v in w) / len(w)
    assert y.tolist() == pytest.approx([mean if v >= 0 else -mean for v in w])
    assert torch.equal(x.grad, upstream)


def test_binary_weights_have_exactly_two_values_in_float32():
    x = torch.randn(10_000, generator=torch.Generator().manual_seed(1))
    y = quant.make("dorefa", 1, "weight")(x)
    assert y.unique().tolist() == [-x.abs().mean().item(), x.abs().mean().item()]


@pytest.mark.parametrize("bits", range(2, 9))
def test_the_largest_weight_takes_the_end_of_the_range(bits):
    y = quant.make("dorefa", bits, "weight")(torch.tensor([-0.01, 0.003, 0.002]))
    assert y[0] == -1


@pytest.mark.parametrize("bits", range(2, 9))
def test_gradients_of_all_zero_weights_keep_the_size_of_those_that_arrive(bits):
    """There is no scale to divide by; a tiny divisor would send the next step to 1e12."""
    x = torch.zeros(20, requires_grad=True)
    quant.make("dorefa", bits, "weight")(x).sum().backward()
    assert x.grad.tolist() == [1] * 20


def test_two_bit_activations_by_hand():
    a = torch.tensor([-1.0, 0.1, 0.2, 0.4, 0.6, 0.9, 3.0])
    y = quant.make("dorefa", 2, "activation")(a)
    assert y.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 3, 2 / 3, 1, 1])
