"""PACT against the closed forms of Choi et al. 2018, equations 1 to 3."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import quant

BITS = range(1, 9)
numbers = st.floats(-20, 20, allow_nan=False, width=32)
rows = st.lists(st.tuples(numbers, st.floats(-2, 2, width=32)), min_size=1, max_size=40)


def with_alpha(bits: int, alpha: float) -> quant.Quantizer:
    quantizer = quant.make("pact", bits, "activation").double()
    with torch.no_grad():
        quantizer.alpha.fill_(alpha)
    return quantizer


@pytest.mark.parametrize("bits", BITS)
@settings(max_examples=25)
@given(pairs=rows, alpha=st.floats(0.1, 12))
def test_values_and_both_gradients_are_the_papers(bits, pairs, alpha):
    v, g = (list(column) for column in zip(*pairs, strict=True))
    quantizer, n = with_alpha(bits, alpha), 2**bits - 1
    x = torch.tensor(v, dtype=torch.float64, requires_grad=True)
    y = quantizer(x)
    y.backward(torch.tensor(g, dtype=torch.float64))
    for value, a in zip(y.tolist(), v, strict=True):
        clipped = 0.5 * (abs(a) - abs(a - alpha) + alpha)  # equation 1
        if abs(clipped * n / alpha % 1 - 0.5) > 1e-9:  # a tie may fall either way in floating point
            assert value == pytest.approx(round(clipped * n / alpha) * alpha / n, abs=1e-12)
    assert x.grad.tolist() == [u * (0 <= a < alpha) for u, a in zip(g, v, strict=True)]
    assert quantizer.alpha.grad.item() == pytest.approx(
        sum(u for u, a in zip(g, v, strict=True) if a >= alpha), abs=1e-12
    )


def test_off_the_rounding_autograd_on_the_clip_agrees():
    """PACT leaves rounding out of alpha's gradient: it is that of the clipped value alone."""
    x = torch.linspace(-5, 5, 101, dtype=torch.float64)
    upstream = torch.linspace(1, 2, 101, dtype=torch.float64)
    quantizer = with_alpha(3, 2.03)
    quantizer(x).backward(upstream)
    alpha = torch.tensor(2.03, dtype=torch.float64, requires_grad=True)
    (0.5 * (x.abs() - (x - alpha).abs() + alpha)).backward(upstream)
    assert quantizer.alpha.grad.item() == pytest.approx(alpha.grad.item())


def test_at_alpha_itself_the_gradient_goes_to_alpha_and_at_zero_to_the_value():
    x = torch.tensor([-1e-9, 0.0, 1.9, 2.0, 2.1], dtype=torch.float64, requires_grad=True)
    quantizer = with_alpha(2, 2.0)
    y = quantizer(x)
    y.sum().backward()
    assert y.tolist() == pytest.approx([0, 0, 2, 2, 2])
    assert x.grad.tolist() == [0, 1, 1, 0, 0]
    assert quantizer.alpha.grad.item() == 2


def test_values_below_alpha_leave_alpha_alone_though_they_are_rounded():
    quantizer = with_alpha(2, 3.0)
    quantizer(torch.tensor([0.4, 1.7, 2.9])).sum().backward()
    assert quantizer.alpha.grad.item() == 0


def test_alpha_starts_at_four_and_decays():
    quantizer = quant.make("pact", 3, "activation")
    assert quantizer.alpha.item() == 4
    assert quantizer.rules["alpha"].weight_decay == 2e-4


def test_without_decay_alpha_would_stay_where_no_value_reaches_it():
    """One step of the optimizer, as a training takes it: only the penalty acts."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    quant.quantize(model, "pact", 3, 3)
    alpha = model[1].quantizer.alpha
    rule = quant.ParameterRules.of(model).rules[alpha]
    optimizer = torch.optim.SGD([{"params": [alpha], "weight_decay": rule.weight_decay}], lr=0.1)
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    assert alpha.item() == pytest.approx(4 * (1 - 0.1 * 2e-4))


@pytest.mark.parametrize("alpha", [-1.5, 0.0])
def test_a_negative_alpha_counts_as_its_magnitude_and_zero_divides_nothing(alpha):
    x = torch.linspace(-3, 3, 61, dtype=torch.float64, requires_grad=True)
    quantizer = with_alpha(3, alpha)
    y = quantizer(x)
    y.sum().backward()
    torch.testing.assert_close(y, with_alpha(3, max(-alpha, 1e-8))(x))
    assert x.grad.isfinite().all()
    assert quantizer.alpha.grad.isfinite()


def test_weights_are_dorefas():
    assert quant.scheme("pact").weight.name == "dorefa"
    assert quant.scheme("pact").activation.name == "pact"
