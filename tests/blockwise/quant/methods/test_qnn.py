"""QNN against linear quantization to the fixed range [-1, 1], computed value by value."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import quant

BITS = range(1, 9)
numbers = st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=30)


def nearest(w: float, bits: int) -> list[float]:
    """The levels nearest to the clipped weight: one, or two at a tie."""
    levels = [2 * k / (2**bits - 1) - 1 for k in range(2**bits)]
    distances = [abs(level - min(max(w, -1), 1)) for level in levels]
    return [level for level, d in zip(levels, distances, strict=True) if d <= min(distances) + 1e-12]


@pytest.mark.slow
@pytest.mark.parametrize("bits", BITS)
@settings(max_examples=20)
@given(w=numbers)
def test_weights_go_to_the_nearest_level_and_pass_the_hard_tanhs_gradient(bits, w):
    x = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    y = quant.make("qnn", bits, "weight")(x)
    upstream = torch.arange(1.0, len(w) + 1, dtype=torch.float64)
    y.backward(upstream)
    for value, v in zip(y.tolist(), w, strict=True):
        assert any(value == pytest.approx(level) for level in nearest(v, bits))
    assert x.grad.tolist() == [g * (abs(v) <= 1) for g, v in zip(upstream.tolist(), w, strict=True)]


@pytest.mark.parametrize("bits", BITS)
def test_zero_is_positive_and_the_ends_of_the_range_still_learn(bits):
    x = torch.tensor([0.0, -0.0, 1.0, -1.0, 1.0001, -1.0001], requires_grad=True)
    y = quant.make("qnn", bits, "weight")(x)
    y.sum().backward()
    smallest = 1 / (2**bits - 1)
    assert y.tolist() == pytest.approx([smallest, smallest, 1, -1, 1, -1])
    assert x.grad.tolist() == [1, 1, 1, 1, 0, 0]


def test_binary_weights_are_signs():
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(quant.make("qnn", 1, "weight")(x), torch.where(x >= 0, 1.0, -1.0))


def test_two_bit_weights_by_hand():
    w = torch.tensor([-3.0, -0.8, -0.6, -0.1, 0.1, 0.6, 0.7, 2.0])
    y = quant.make("qnn", 2, "weight")(w)
    assert y.tolist() == pytest.approx([-1, -1, -1 / 3, -1 / 3, 1 / 3, 1 / 3, 1, 1])


@pytest.mark.parametrize("bits", BITS)
def test_weights_as_small_as_at_the_start_do_not_vanish(bits):
    """A grid with zero would round all of them to it, and no gradient would come through."""
    w = 0.01 * torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    y = quant.make("qnn", bits, "weight", (64, 64))(w)
    assert y.abs().min() > 0
    assert torch.equal(y.sign(), w.sign())


def test_latent_weights_stay_where_they_can_learn():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    quant.quantize(model, "qnn", 2, 2)
    rules, weight = quant.ParameterRules.of(model), model[1].weight
    with torch.no_grad():
        weight.copy_(torch.linspace(-3, 3, 16).view(4, 4))
    expected = weight.detach().clamp(-1, 1)
    rules.constrain(model.parameters())
    assert torch.equal(weight, expected)
    assert list(rules.constraints) == [weight]  # first and last layer are float


def test_activations_are_clipped_to_the_unit_interval_and_rounded():
    a = torch.tensor([-1.0, 0.1, 0.2, 0.4, 0.6, 0.9, 3.0], requires_grad=True)
    y = quant.make("qnn", 2, "activation")(a)
    y.sum().backward()
    assert y.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 3, 2 / 3, 1, 1])
    assert a.grad.tolist() == [0, 1, 1, 1, 1, 1, 0]
