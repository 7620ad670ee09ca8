"""SAT on both grids against the formulas of Jin et al. 2019 and 2020, element by element in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import quant
from blockwise.quant.methods.dorefa import squash

BITS = range(1, 9)
NAMES = ("sat", "sat-centered")
names = pytest.mark.parametrize("name", NAMES)
SHAPES = [((8, 4, 3, 3), 8 * 9), ((8, 4, 1, 1), 8), ((10, 6), 10)]


def weights(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def grid(name: str, w: list[float], bits: int) -> list[float]:
    """Q: the nearest of 2^b levels from -1 to 1, or the middle of the cell, of the normalised tanh."""
    largest, cells = max(abs(math.tanh(v)) for v in w), 2**bits
    found = []
    for v in w:
        unit = math.tanh(v) / (2 * largest) + 0.5
        if name == "sat":
            found.append(2 * round(unit * (cells - 1)) / (cells - 1) - 1)
        else:
            cell = min(max(math.floor(cells * unit), 0), cells - 1)
            found.append(2 * (cell + 0.5) / cells - 1)
    return found


@names
@pytest.mark.parametrize(("shape", "fan"), SHAPES)
@pytest.mark.parametrize("bits", BITS)
def test_weights_are_the_grids_levels_with_the_variance_that_the_fan_asks_for(name, bits, shape, fan):
    w = weights(shape)
    y = quant.make(name, bits, "weight", shape)(w)
    q = grid(name, w.flatten().tolist(), bits)
    mean = sum(q) / len(q)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in q) / len(q))
    expected = torch.tensor(q).view(shape) / deviation / math.sqrt(fan)
    torch.testing.assert_close(y, expected.double(), rtol=1e-5, atol=1e-7)
    assert y.var(correction=0).item() == pytest.approx(1 / fan)


@names
@pytest.mark.parametrize("bits", BITS)
def test_levels_are_even_and_have_mean_zero(name, bits):
    """The pitfall of the authors' floor: without the half, their mean is half a cell below zero."""
    w = torch.linspace(-1, 1, 4096, dtype=torch.float64).atanh().clamp(-9, 9)
    y = quant.make(name, bits, "weight", (4096,))(w)
    levels = y.unique()
    assert len(levels) == 2**bits
    assert levels.mean().item() == pytest.approx(0, abs=1e-12)
    gaps = levels.diff()
    torch.testing.assert_close(gaps, gaps[:1].expand_as(gaps))
    assert y.mean().abs() < 1e-3 * levels.max()


@names
@pytest.mark.parametrize("bits", BITS)
def test_the_weight_gradient_is_autograds_on_the_map_without_cells_times_the_scale(name, bits):
    w, upstream = weights((4, 3, 3, 3)), weights((4, 3, 3, 3), 1)
    x, smooth = w.clone().requires_grad_(), w.clone().requires_grad_()
    quantizer = quant.make(name, bits, "weight", (4, 3, 3, 3))
    quantizer(x).backward(upstream)
    squashed = smooth.tanh()
    (squashed / squashed.abs().max()).backward(upstream)
    torch.testing.assert_close(x.grad, smooth.grad * quantizer.constants(w)["scale"])


def test_that_map_is_differentiated_as_finite_differences_do():
    assert torch.autograd.gradcheck(squash, weights((3, 4)).requires_grad_())


def test_two_bit_weights_on_the_centered_grid_by_hand():
    w = torch.tensor([[-1.0], [-0.5], [0.0], [0.5]], dtype=torch.float64).mul(math.tanh(2.0)).atanh()
    y = quant.make("sat-centered", 2, "weight", (4, 1))(w)
    # u = 0, 1/4, 1/2, 3/4 are the lower ends of the cells; Q = -3/4, -1/4, 1/4, 3/4, of variance 5/16
    expected = torch.tensor([[-3.0], [-1.0], [1.0], [3.0]]) / 4 / math.sqrt(5 / 16) / 2
    low = torch.nextafter(w, torch.tensor(9.0).double())  # off the edge, which may fall either way
    torch.testing.assert_close(quant.make("sat-centered", 2, "weight", (4, 1))(low), expected.double())
    assert y[2] > 0  # zero is positive


def test_two_bit_weights_on_the_papers_grid_by_hand():
    """u = 0, 0.15, 0.2, 0.8, 1: nearest thirds 0, 0, 1/3, 2/3, 1, so Q = -1, -1, -1/3, 1/3, 1."""
    units = torch.tensor([[0.0], [0.15], [0.2], [0.8], [1.0]], dtype=torch.float64)
    w = ((2 * units - 1) * math.tanh(2.0)).atanh()
    q = torch.tensor([[-1.0], [-1.0], [-1 / 3], [1 / 3], [1.0]], dtype=torch.float64)
    quantizer = quant.make("sat", 2, "weight", (5, 1))
    torch.testing.assert_close(quantizer(w), q / q.std(correction=0) / math.sqrt(5))
    assert quantizer.codes(w).flatten().tolist() == [0, 0, 1, 2, 3]
    assert quant.make("sat-centered", 2, "weight", (5, 1)).codes(w).flatten().tolist() == [0, 0, 0, 3, 3]


@names
@pytest.mark.parametrize("bits", BITS)
def test_weights_that_are_all_zero_keep_the_size_of_their_gradient(name, bits):
    x = torch.zeros(9, 4, requires_grad=True)
    quant.make(name, bits, "weight", (9, 4))(x).sum().backward()
    assert x.grad.flatten().tolist() == pytest.approx([1 / 3] * 36)  # c = 1 / sqrt(9)


numbers = st.floats(-20, 20, allow_nan=False, width=32)
rows = st.lists(st.tuples(numbers, st.floats(-2, 2, width=32)), min_size=1, max_size=40)


@pytest.mark.parametrize("bits", BITS)
@settings(max_examples=20)
@given(pairs=rows, alpha=st.floats(0.1, 12))
def test_activations_and_both_gradients_are_cg_pacts(bits, pairs, alpha):
    v, g = (list(column) for column in zip(*pairs, strict=True))
    quantizer = quant.make("sat", bits, "activation").double()
    with torch.no_grad():
        quantizer.alpha.fill_(alpha)
    x = torch.tensor([v], dtype=torch.float64, requires_grad=True)
    y = quantizer(x)
    y.backward(torch.tensor([g], dtype=torch.float64))
    n, d_alpha, expected = 2**bits - 1, 0.0, []
    for value, upstream in zip(v, g, strict=True):
        clipped = min(max(value / alpha, 0), 1)
        q = round(clipped * n) / n
        expected.append(alpha * q)
        d_alpha += upstream * (1 if value >= alpha else q - clipped)
    near_tie = [abs(min(max(e / alpha, 0), 1) * n % 1 - 0.5) < 1e-9 for e in v]
    if not any(near_tie):
        assert y[0].tolist() == pytest.approx(expected, abs=1e-12)
        assert quantizer.alpha.grad.item() == pytest.approx(d_alpha, rel=1e-9, abs=1e-9)
    assert x.grad[0].tolist() == [u * (0 <= e < alpha) for u, e in zip(g, v, strict=True)]


def test_alpha_starts_at_eight_and_has_no_decay():
    quantizer = quant.make("sat", 3, "activation")
    assert quantizer.alpha.item() == 8
    assert quantizer.rules["alpha"].weight_decay == 0


def test_a_negative_alpha_counts_as_its_magnitude_and_learns_towards_it():
    quantizer = quant.make("sat", 3, "activation")
    x = torch.linspace(-1, 12, 50)
    expected = quantizer(x)
    with torch.no_grad():
        quantizer.alpha.neg_()
    assert torch.equal(quantizer(x), expected)
    quantizer(torch.tensor([0.5])).sum().backward()  # 0.4375 steps, rounded to 0
    assert quantizer.alpha.grad.item() == pytest.approx(0.5 / 8)  # minus that of alpha = 8
