"""LSQ against equations 1 to 5 of Esser et al. 2020, computed element by element in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import quant

ROLE_BITS = [(role, bits) for role in ("weight", "activation") for bits in range(1, 9)]


def limits(role: str, bits: int) -> tuple[int, int]:
    """-Qn and Qp; binary weights have -1 and +1."""
    if role == "activation":
        return 0, 2**bits - 1
    return (-1, 1) if bits == 1 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def with_step(bits: int, role: str, step: float) -> quant.Quantizer:
    quantizer = quant.make("lsq", bits, role).double()
    quantizer.set_up(torch.ones(1))
    with torch.no_grad():
        quantizer.step.fill_(step)
    return quantizer


def half_even(x: float) -> int:
    """Python's own rounding: half to even."""
    return round(x)


def by_hand(v: list[float], g: list[float], step: float, n: int, role: str, bits: int):
    """Values, dv and ds by the paper's elementwise formulas (equations 1, 3, 5 and section 2.2)."""
    low, high = limits(role, bits)
    values, dv, ds = [], [], 0.0
    for x, upstream in zip(v, g, strict=True):
        ratio = x / step
        code = half_even(min(max(ratio, low), high))
        if role == "weight" and bits == 1:
            code = 1 if x >= 0 else -1
        values.append(code * step)
        inside = low <= ratio <= high
        dv.append(upstream if inside else 0.0)
        ds += upstream * (code - ratio if inside else low if ratio < low else high)
    return values, dv, ds / math.sqrt(n * high)


numbers = st.floats(-20, 20, allow_nan=False, width=32)
rows = st.lists(st.tuples(numbers, st.floats(-2, 2, width=32)), min_size=1, max_size=40)


@pytest.mark.parametrize(("role", "bits"), ROLE_BITS)
@settings(max_examples=25)
@given(pairs=rows, step=st.floats(0.01, 5))
def test_values_and_both_gradients_are_the_papers(role, bits, pairs, step):
    v, g = (list(column) for column in zip(*pairs, strict=True))
    quantizer = with_step(bits, role, step)
    x = torch.tensor([v], dtype=torch.float64, requires_grad=True)  # a batch of one sample
    y = quantizer(x)
    y.backward(torch.tensor([g], dtype=torch.float64))
    values, dv, ds = by_hand(v, g, step, len(v), role, bits)
    torch.testing.assert_close(y, torch.tensor([values], dtype=torch.float64))
    torch.testing.assert_close(x.grad, torch.tensor([dv], dtype=torch.float64))
    assert quantizer.step.grad.item() == pytest.approx(ds, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("role", "bits"), [(r, b) for r, b in ROLE_BITS if (r, b) != ("weight", 1)])
def test_gradients_are_masked_on_the_value_before_it_is_rounded(role, bits):
    """In (Qp, Qp + 1/2] a value rounds back onto Qp, yet its gradient is zero; likewise below."""
    low, high = limits(role, bits)
    ratios = [high, high + 0.25, high + 0.5, high + 1.0, low, low - 0.25, low - 0.5, low - 1.0]
    x = torch.tensor([ratios], dtype=torch.float64, requires_grad=True)
    y = with_step(bits, role, 1.0)(x)
    y.sum().backward()
    assert y.tolist() == [[high] * 4 + [low] * 4]
    assert x.grad.tolist() == [[1, 0, 0, 0, 1, 0, 0, 0]]


@pytest.mark.parametrize(("role", "bits"), [(r, b) for r, b in ROLE_BITS if (r, b) != ("weight", 1)])
def test_a_half_is_rounded_to_the_even_code(role, bits):
    low, high = limits(role, bits)
    halves = [k + 0.5 for k in range(low, high)]
    y = with_step(bits, role, 1.0)(torch.tensor([halves], dtype=torch.float64))
    assert y.tolist() == [[2 * math.floor((k + 1) / 2) for k in range(low, high)]]


@pytest.mark.parametrize(("role", "bits"), ROLE_BITS)
def test_the_step_starts_at_twice_the_mean_magnitude_over_the_root_of_qp(role, bits):
    x = torch.tensor([[-3.0, 1.0, 0.5, 0.0], [2.0, 4.0, -1.0, 0.5]])  # mean magnitude 12/8
    quantizer = quant.make("lsq", bits, role)
    quantizer(x)
    assert quantizer.step.item() == pytest.approx(2 * 1.5 / math.sqrt(limits(role, bits)[1]))


def test_only_the_first_tensor_sets_the_step():
    quantizer = quant.make("lsq", 3, "activation")
    quantizer(torch.ones(2, 3))
    first = quantizer.step.item()
    quantizer(100 * torch.ones(2, 3))
    assert quantizer.step.item() == first == pytest.approx(2 / math.sqrt(7))


@pytest.mark.parametrize(("role", "n"), [("weight", 4 * 3 * 2), ("activation", 3 * 2)])
def test_the_step_gradient_is_scaled_by_all_weights_or_one_samples_activations(role, n):
    """Every value is beyond Qp, so that ds = gs sum(Qp) = 24 Qp / sqrt(n Qp)."""
    quantizer, high = with_step(3, role, 1.0), limits(role, 3)[1]
    quantizer(torch.full((4, 3, 2), 50.0, dtype=torch.float64)).sum().backward()
    assert quantizer.step.grad.item() == pytest.approx(24 * high / math.sqrt(n * high))


def test_inside_the_range_the_step_gradient_is_the_rounding_error_in_steps():
    quantizer = with_step(4, "activation", 0.5)
    quantizer(torch.tensor([[1.1]], dtype=torch.float64)).sum().backward()  # v/s = 2.2, R = 2
    assert quantizer.step.grad.item() == pytest.approx((2 - 2.2) / math.sqrt(15))


def test_where_the_quantizer_is_smooth_autograd_on_the_clipped_formula_agrees():
    """Beyond both ends the output is Qp s or -Qn s, which autograd differentiates without any STE."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(5, 40, generator=g, dtype=torch.float64)
    x = x.sign() * (x.abs() + 10)
    quantizer = with_step(3, "weight", 0.7)
    upstream = torch.randn(5, 40, generator=g, dtype=torch.float64)
    quantizer(x).backward(upstream)
    step = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    ((x / step).clamp(-4, 3) * step).backward(upstream)
    assert quantizer.step.grad.item() == pytest.approx(step.grad.item() / math.sqrt(200 * 3))


def test_a_negative_step_counts_as_its_magnitude():
    """A large update may carry the step through zero; levels stay where they are, mirrored."""
    x = torch.linspace(-3, 3, 61).double()[None]
    assert torch.equal(with_step(3, "weight", -0.5)(x), with_step(3, "weight", 0.5)(x))


def test_a_step_of_zero_divides_nothing_by_zero():
    quantizer = with_step(3, "weight", 0.0)
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    y = quantizer(x)
    y.sum().backward()
    assert y.abs().max() < 1e-6
    assert x.grad.isfinite().all()
    assert quantizer.step.grad.isfinite()


def test_binary_weights_take_both_signs_and_zero_is_positive():
    x = torch.tensor([-2.0, -0.1, -0.0, 0.0, 0.1, 2.0])
    quantizer = quant.make("lsq", 1, "weight")
    y = quantizer(x)
    step = 2 * x.abs().mean().item()  # Qp = 1
    assert y.tolist() == pytest.approx([-step, -step, step, step, step, step])


def test_activations_lose_what_is_below_zero():
    y = with_step(3, "activation", 1.0)(torch.tensor([[-5.0, -0.4, 0.4, 2.6]], dtype=torch.float64))
    assert y.tolist() == [[0, 0, 0, 3]]


def test_the_step_learns_the_smallest_error_that_a_grid_search_finds():
    """Gradient descent on ||v_q - v||^2 ends near the best of 2,000 steps tried one by one."""
    v = torch.randn(1, 400, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def error(step: float) -> float:
        return ((v / step).clamp(-4, 3).round() * step - v).square().sum().item()

    best = min(error(0.1 + 0.001 * i) for i in range(2000))
    quantizer = with_step(3, "weight", 1.5)
    optimizer = torch.optim.Adam([quantizer.step], lr=0.01)
    for _ in range(400):
        optimizer.zero_grad()
        (quantizer(v) - v).square().sum().backward()
        optimizer.step()
    assert error(quantizer.step.item()) < 1.1 * best


@pytest.mark.parametrize(("role", "bits"), ROLE_BITS)
def test_codes_span_exactly_two_to_the_bits_integers(role, bits):
    low, high = limits(role, bits)
    x = torch.linspace(2 * low - 2, 2 * high + 2, 4001, dtype=torch.float64)[None]
    codes = with_step(bits, role, 1.0).codes(x)
    assert codes.unique().tolist() == list(range(2**bits))
