"""One power of two, or two where one leaves a large error: levels, gradients and the first scale."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import quant
from blockwise.quant.methods.stlq import magnitudes, words

BITS = quant.method("stlq").weight_bits


def with_scale(bits: int, scale: float) -> quant.Quantizer:
    quantizer = quant.make("stlq", bits).double()
    quantizer.set_up(torch.ones(1))
    with torch.no_grad():
        quantizer.scale.fill_(scale)
    return quantizer


def error(x: torch.Tensor, bits: int, scale: float) -> float:
    return (with_scale(bits, scale)(x) - x).square().sum().item()


def sums_of_two_powers(least: int, most: int) -> set[int]:
    powers = [0, *(1 << k for k in range(least, most + 1))]
    return {a + s * b for a, b, s in itertools.product(powers, powers, (1, -1))}


@pytest.mark.parametrize("bits", BITS)
def test_every_level_is_one_power_of_two_or_the_sum_or_difference_of_two(bits):
    found = magnitudes(bits)
    assert len(found) == 2 ** (bits - 1)
    assert set(found) <= sums_of_two_powers(0, 10)
    assert list(found) == sorted(set(found))


def test_levels_by_hand():
    assert magnitudes(2) == (0, 1)
    assert magnitudes(3) == (0, 1, 2, 4)
    # from 0 1 2 4 8: 6 in the widest gap, 3 in the lower of the next widest, then 5, which is 4 + 1
    assert magnitudes(4) == (0, 1, 2, 3, 4, 5, 6, 8)


def test_words_are_counted_by_the_shortest_sum():
    """By search among all sums and differences of two powers."""
    one, two = {0, *(1 << k for k in range(10))}, sums_of_two_powers(0, 9)
    for level in range(200):
        assert (words(level) <= 1) == (level in one)
        assert (words(level) <= 2) == (level in two)


rows = st.lists(
    st.tuples(st.floats(-9, 9, width=32), st.floats(-2, 2, width=32)), min_size=1, max_size=40
)  # fmt: skip


@pytest.mark.parametrize("bits", BITS)
@settings(max_examples=40)
@given(pairs=rows, scale=st.floats(0.1, 9))
def test_values_and_both_gradients_are_the_formulas(bits, pairs, scale):
    w, g = (list(column) for column in zip(*pairs, strict=True))
    positive = [m / magnitudes(bits)[-1] for m in magnitudes(bits)]
    levels = sorted({*positive, *(-m for m in positive)})
    if any(abs(a + b - 2 * v / scale) < 1e-9 for a, b in itertools.pairwise(levels) for v in w):
        return  # rounding may put it on the other side
    quantizer = with_scale(bits, scale)
    x = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    y = quantizer(x)
    y.backward(torch.tensor(g, dtype=torch.float64))
    values, dx, dscale = [], [], 0.0
    for v, upstream in zip(w, g, strict=True):
        ratio = v / scale
        level = min(levels, key=lambda q: abs(q - ratio))
        inside = abs(ratio) <= 1
        values.append(level * scale)
        dx.append(upstream if inside else 0.0)
        dscale += upstream * (level - ratio if inside else level)
    assert y.tolist() == pytest.approx(values)
    assert x.grad.tolist() == dx
    assert quantizer.scale.grad.item() == pytest.approx(dscale / len(w) ** 0.5, rel=1e-6, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("bits", BITS)
def test_the_first_scale_is_near_the_best_of_a_fine_grid(bits):
    x = torch.randn(400, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    quantizer = quant.make("stlq", bits).double()
    quantizer(x)
    largest = x.abs().max().item()
    best = min(error(x, bits, largest * k / 200) for k in range(1, 201))
    assert error(x, bits, quantizer.scale.item()) < 1.1 * best


def test_weights_that_lie_on_the_levels_are_a_fixed_point():
    x = 0.3 * torch.tensor([-8.0, -5.0, -3.0, -1.0, 0.0, 1.0, 2.0, 4.0, 6.0]) / 8
    y = quant.make("stlq", 4, "weight", (9,))(x)
    torch.testing.assert_close(y, x)


def test_zeros_leave_the_scale_at_one():
    quantizer = quant.make("stlq", 3)
    assert not quantizer(torch.zeros(5)).any()
    assert quantizer.scale == 1


def test_second_words_make_normal_weights_more_exact_than_one_word_alone():
    x = torch.randn(2000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    errors = [(quant.make(name, 4)(x) - x).square().mean().item() for name in ("stlq", "inq", "log2")]
    assert errors[0] < 0.5 * min(errors[1:])


def test_a_chain_of_widths_sets_the_scale_anew():
    x = torch.randn(500, generator=torch.Generator().manual_seed(0))
    quantizer = quant.make("stlq", 3)
    for bits, count in ((32, 500), (5, 31), (3, 7)):
        quantizer.set_bits(bits)
        assert quantizer(x).unique().numel() <= count
    assert quantizer.scale != 1
