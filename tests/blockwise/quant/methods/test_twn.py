"""Ternary weights against hand arithmetic and the exact optimum of what Li et al. 2016 approximate."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import quant


def quantized(x: torch.Tensor) -> torch.Tensor:
    return quant.make("twn", 2, "weight", tuple(x.shape))(x)


def error(x: torch.Tensor, y: torch.Tensor) -> float:
    return float((x - y).square().sum())


def optimum(x: torch.Tensor) -> float:
    """Least squared error of -a, 0 and +a: the largest k magnitudes take their mean a.

    Of the error sum w^2 - (sum of the largest k)^2 / k the second part is maximised over k.
    """
    largest = x.abs().flatten().sort(descending=True).values
    counts = torch.arange(1, x.numel() + 1)
    return float(x.square().sum() - (largest.cumsum(0).square() / counts).max())


def test_values_by_hand():
    """Mean magnitude 1, threshold 0.7: 0.7 itself becomes zero, and a = (1.5 + 2 + 0.8 + 2) / 4."""
    x = torch.tensor([1.5, -2.0, 0.7, -0.7, 0.0, 0.8, 0.3, -2.0], dtype=torch.float64)
    assert x.abs().mean() == 1
    scale = (1.5 + 2.0 + 0.8 + 2.0) / 4
    assert quantized(x).tolist() == pytest.approx([scale, -scale, 0, 0, 0, scale, 0, -scale])


numbers = st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=40)


@settings(max_examples=100)
@given(w=numbers)
def test_values_are_the_papers(w):
    x = torch.tensor(w, dtype=torch.float64)
    y = quantized(x)
    threshold = 0.7 * sum(map(abs, w)) / len(w)
    if any(abs(abs(v) - threshold) < 1e-12 for v in w):
        return  # sums in another order may put it on the other side
    large = [abs(v) for v in w if abs(v) > threshold]
    scale = sum(large) / len(large) if large else 0.0
    expected = [(scale if v > 0 else -scale) if abs(v) > threshold else 0.0 for v in w]
    assert y.tolist() == pytest.approx(expected)


@settings(max_examples=100)
@given(w=numbers)
def test_no_ternary_values_are_better_than_the_exact_optimum(w):
    x = torch.tensor(w, dtype=torch.float64)
    assert error(x, quantized(x)) >= optimum(x) - 1e-9


@pytest.mark.parametrize(
    ("sample", "share"), [(torch.randn, 0.005), (lambda *size, **k: 2 * torch.rand(*size, **k) - 1, 0.005)],
    ids=["normal", "uniform"],
)  # fmt: skip
def test_the_threshold_rule_comes_near_the_exact_optimum(sample, share):
    """Of what ternary values can explain, normal and uniform weights lose less than ``share``."""
    x = sample(5000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    total, best = float(x.square().sum()), optimum(x)
    assert total - error(x, quantized(x)) >= (1 - share) * (total - best)


def test_given_the_threshold_no_other_scale_is_better():
    x = torch.randn(300, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    y = quantized(x)
    assert all(error(x, y) < error(x, y * factor) for factor in (0.95, 0.99, 1.01, 1.05))


def test_the_gradient_passes_unchanged_everywhere():
    x = torch.randn(6, 7, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(6, 7, dtype=torch.float64)
    quantized(x).backward(upstream)
    assert torch.equal(x.grad, upstream)


@pytest.mark.parametrize("factor", [1e-30, 1e-3, 1e30])
def test_weights_of_another_scale_get_the_same_codes(factor):
    x = torch.randn(6, 7, generator=torch.Generator().manual_seed(3))
    assert torch.equal(quant.make("twn", 2).codes(x * factor), quant.make("twn", 2).codes(x))


def test_zeros_stay_zero():
    assert not quantized(torch.zeros(3, 4)).any()


def test_three_of_four_codes_are_stored_in_two_bits_each():
    x = torch.tensor([2.0, -2.0, 0.0, 2.0, -2.0])
    packed = quant.pack(quant.make("twn", 2, "weight", (5,)), x)
    assert packed.codes.tolist() == [0b10_01_00_10, 0b00]
    assert packed.constants["scale"] == 2
    assert packed.stored_bytes == 2 + 4


def test_activations_are_those_of_lsq():
    assert quant.scheme("twn").activation.name == "lsq"
