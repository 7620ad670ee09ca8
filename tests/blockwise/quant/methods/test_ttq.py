"""Trained ternary weights: levels, thresholds and the three gradients of Zhu et al. 2017."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import quant


def with_levels(positive: float, negative: float) -> quant.Quantizer:
    quantizer = quant.make("ttq", 2).double()
    with torch.no_grad():
        quantizer.positive.fill_(positive)
        quantizer.negative.fill_(negative)
    return quantizer


def test_values_by_hand():
    """Largest magnitude 4, threshold 0.2, which itself is zero."""
    x = torch.tensor([-4.0, -0.21, -0.2, -0.1, 0.0, 0.2, 0.21, 2.0], dtype=torch.float64)
    assert with_levels(3.0, 0.5)(x).tolist() == [-0.5, -0.5, 0, 0, 0, 0, 3, 3]


def test_both_levels_start_at_one():
    y = quant.make("ttq", 2)(torch.tensor([0.01, -0.02, 0.0]))
    assert y.tolist() == [1, -1, 0]


numbers = st.floats(-4, 4, width=32)
rows = st.lists(st.tuples(numbers, st.floats(-2, 2, width=32)), min_size=1, max_size=40)
levels = st.floats(0.01, 5)


@settings(max_examples=100)
@given(pairs=rows, positive=levels, negative=levels)
def test_values_and_all_gradients_are_the_papers(pairs, positive, negative):
    w, g = (list(column) for column in zip(*pairs, strict=True))
    quantizer = with_levels(positive, negative)
    x = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    y = quantizer(x)
    y.backward(torch.tensor(g, dtype=torch.float64))
    threshold = 0.05 * max(map(abs, w))
    signs = [(v > threshold) - (v < -threshold) for v in w]
    level = {1: positive, 0: 0.0, -1: -negative}
    factor = {1: positive, 0: 1.0, -1: negative}
    assert y.tolist() == [level[s] for s in signs]
    assert x.grad.tolist() == pytest.approx([u * factor[s] for u, s in zip(g, signs, strict=True)])
    above = sum(u for u, s in zip(g, signs, strict=True) if s > 0)
    below = sum(u for u, s in zip(g, signs, strict=True) if s < 0)
    assert quantizer.positive.grad.item() == pytest.approx(above, abs=1e-12)
    assert quantizer.negative.grad.item() == pytest.approx(-below, abs=1e-12)


def test_a_central_difference_of_each_level_agrees():
    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    upstream = torch.randn(5, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    quantizer = with_levels(0.8, 0.3)
    quantizer(x).backward(upstream)

    def loss(positive: float, negative: float) -> float:
        return (with_levels(positive, negative)(x) * upstream).sum().item()

    slope = (loss(0.8 + 1e-6, 0.3) - loss(0.8 - 1e-6, 0.3)) / 2e-6
    assert quantizer.positive.grad.item() == pytest.approx(slope, rel=1e-6)
    slope = (loss(0.8, 0.3 + 1e-6) - loss(0.8, 0.3 - 1e-6)) / 2e-6
    assert quantizer.negative.grad.item() == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("crossed", [-0.5, 0.0, -1e-12])
def test_levels_that_cross_zero_stay_on_their_side_of_it(crossed):
    x = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
    quantizer = with_levels(crossed, crossed)
    low, middle, high = quantizer(x).tolist()
    assert low < middle == 0 < high
    packed = quant.pack(quantizer.float(), x.float())
    assert torch.equal(quant.unpack(type(quantizer), packed), quantizer(x.float()))


def test_a_level_that_crossed_zero_is_driven_back_by_its_own_gradient():
    """Its magnitude counts, so a loss that wants a larger level makes the parameter more negative."""
    quantizer = with_levels(-0.5, 1.0)
    (-quantizer(torch.tensor([1.0, -1.0], dtype=torch.float64))[0]).backward()
    assert quantizer.positive.grad == 1


def test_the_levels_learn_the_means_of_what_they_stand_for():
    """The least squared error for given codes is at the mean of each side."""
    x = torch.randn(400, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    x = torch.where(x > 0, 2 * x, x)
    quantizer = with_levels(1.0, 1.0)
    optimizer = torch.optim.SGD(quantizer.parameters(), lr=0.3)
    for _ in range(100):
        optimizer.zero_grad()
        (quantizer(x) - x).square().mean().backward()
        optimizer.step()
    threshold = 0.05 * x.abs().max()
    assert quantizer.positive.item() == pytest.approx(x[x > threshold].mean().item(), rel=1e-3)
    assert quantizer.negative.item() == pytest.approx(-x[x < -threshold].mean().item(), rel=1e-3)


def test_the_levels_are_trained_without_decay():
    model = quant.quantize(torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(3))), "ttq")
    quantizer = model[1].weight_quantizer
    rules = quant.ParameterRules.of(model).rules
    assert rules[quantizer.positive].weight_decay == rules[quantizer.negative].weight_decay == 0
    assert model[1].weight not in rules


def test_two_levels_are_stored_beside_two_bits_to_a_weight():
    packed = quant.pack(quant.make("ttq", 2, "weight", (3, 3)), torch.randn(3, 3))
    assert packed.stored_bytes == 3 + 2 * 4
