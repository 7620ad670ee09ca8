"""LSQ+ against the formulas of Bhalgat et al. 2020, computed element by element in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import quant
from blockwise.quant.methods.lsq import LSQ

BITS = range(1, 9)
numbers = st.floats(-20, 20, allow_nan=False, width=32)
rows = st.lists(st.tuples(numbers, st.floats(-2, 2, width=32)), min_size=1, max_size=40)


def activation(bits: int, step: float, offset: float) -> quant.Quantizer:
    quantizer = quant.make("lsq-plus", bits, "activation").double()
    quantizer.set_up(torch.ones(1))
    with torch.no_grad():
        quantizer.step.fill_(step)
        quantizer.offset.fill_(offset)
    return quantizer


@pytest.mark.parametrize("bits", BITS)
@settings(max_examples=25)
@given(pairs=rows, step=st.floats(0.01, 5), offset=st.floats(-3, 3))
def test_values_and_all_three_gradients_are_the_papers(bits, pairs, step, offset):
    v, g = (list(column) for column in zip(*pairs, strict=True))
    quantizer, n = activation(bits, step, offset), 2**bits - 1
    x = torch.tensor([v], dtype=torch.float64, requires_grad=True)  # a batch of one sample
    y = quantizer(x)
    y.backward(torch.tensor([g], dtype=torch.float64))
    values, dx, d_step, d_offset = [], [], 0.0, 0.0
    for value, upstream in zip(v, g, strict=True):
        ratio = (value - offset) / step
        inside = 0 <= ratio <= n
        code = round(min(max(ratio, 0), n))
        values.append(code * step + offset)
        dx.append(upstream * inside)
        d_step += upstream * (code - ratio if inside else code)
        d_offset += upstream * (not inside)
    scale = 1 / math.sqrt(len(v) * n)
    torch.testing.assert_close(y, torch.tensor([values], dtype=torch.float64))
    ends = [min(abs(e - offset), abs(e - offset - n * step)) < 1e-9 for e in v]  # may fall either way
    if not any(ends):
        torch.testing.assert_close(x.grad, torch.tensor([dx], dtype=torch.float64))
        assert quantizer.step.grad.item() == pytest.approx(d_step * scale, rel=1e-8, abs=1e-8)
        assert quantizer.offset.grad.item() == pytest.approx(d_offset * scale, rel=1e-8, abs=1e-8)


def test_beyond_both_ends_autograd_on_the_clipped_formula_agrees():
    x = torch.tensor([[-9.0, -5.0, 30.0, 40.0, 50.0]], dtype=torch.float64)
    upstream = torch.tensor([[1.0, -2.0, 3.0, 5.0, -1.0]], dtype=torch.float64)
    quantizer = activation(3, 0.7, -0.4)
    quantizer(x).backward(upstream)
    step = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    offset = torch.tensor(-0.4, dtype=torch.float64, requires_grad=True)
    (((x - offset) / step).clamp(0, 7) * step + offset).backward(upstream)
    scale = 1 / math.sqrt(5 * 7)
    assert quantizer.step.grad.item() == pytest.approx(step.grad.item() * scale)
    assert quantizer.offset.grad.item() == pytest.approx(offset.grad.item() * scale)


def test_with_offset_zero_it_is_lsq():
    x = torch.randn(6, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lsq = quant.make("lsq", 3, "activation").double()
    lsq.set_up(x)
    plus = activation(3, lsq.step.item(), 0.0)
    leaves = [x.clone().requires_grad_() for _ in range(2)]
    for quantizer, leaf in zip((lsq, plus), leaves, strict=True):
        quantizer(leaf).square().sum().backward()
    assert torch.equal(lsq(x), plus(x))
    torch.testing.assert_close(leaves[0].grad, leaves[1].grad)
    torch.testing.assert_close(lsq.step.grad, plus.step.grad)


def test_both_ends_of_the_range_pass_gradients_and_values_that_round_back_onto_them_do_not():
    x = torch.tensor([[0.5, 0.4, 3.5, 3.6, 2.0]], dtype=torch.float64, requires_grad=True)
    y = activation(2, 1.0, 0.5)(x)
    y.sum().backward()
    assert y.tolist() == [[0.5, 0.5, 3.5, 3.5, 2.5]]  # 1.5 steps go to the even code 2
    assert x.grad.tolist() == [[1, 0, 1, 0, 1]]


def test_the_offset_starts_at_the_smallest_output_of_the_relu_in_its_place():
    quantizer = quant.make("lsq-plus", 3, "activation")
    quantizer(torch.tensor([[-5.0, 0.1, 2.0]]))
    assert quantizer.offset.item() == 0
    quantizer = quant.make("lsq-plus", 3, "activation")
    quantizer(torch.tensor([[0.5, 1.0, 2.0]]))
    assert quantizer.offset.item() == 0.5


def test_at_the_start_negative_values_are_lost_as_in_the_relu():
    """Were the offset the smallest input, the network would lose its nonlinearity."""
    x = torch.randn(8, 100, generator=torch.Generator().manual_seed(0))
    y = quant.make("lsq-plus", 8, "activation")(x)
    assert (y[x < 0] == 0).all()


@pytest.mark.parametrize("bits", BITS)
def test_the_step_of_activations_starts_where_the_squared_error_is_least(bits):
    x = torch.randn(20, 100, generator=torch.Generator().manual_seed(0)).relu()
    quantizer, n = quant.make("lsq-plus", bits, "activation"), 2**bits - 1
    quantizer(x)

    def error(step: float) -> float:
        return ((x / step).round().clamp(0, n) * step - x).square().sum().item()

    best = min(error(k / 40 * x.max().item() / n) for k in range(1, 41))
    assert error(quantizer.step.item()) == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("bits", BITS)
def test_the_step_of_weights_starts_so_that_the_range_covers_three_deviations(bits):
    w = [-3.0, 1.0, 0.5, 0.25, 2.0, 4.0]
    mean = sum(w) / 6
    deviation = math.sqrt(sum((v - mean) ** 2 for v in w) / 6)
    quantizer = quant.make("lsq-plus", bits, "weight", (6,))
    quantizer(torch.tensor(w))
    end = max(abs(mean - 3 * deviation), abs(mean + 3 * deviation))
    assert quantizer.step.item() == pytest.approx(end / 2 ** (bits - 1))


def test_weights_are_otherwise_lsqs():
    x = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    plus, lsq = quant.make("lsq-plus", 3, "weight", (4, 50)), quant.make("lsq", 3, "weight", (4, 50))
    plus.set_up(x)
    lsq.load_state_dict(plus.state_dict())
    assert isinstance(plus, LSQ)
    assert torch.equal(plus(x), lsq(x))


@pytest.mark.parametrize("step", [-0.5, 0.0])
def test_a_negative_step_counts_as_its_magnitude_and_zero_divides_nothing(step):
    x = torch.linspace(-3, 3, 61, dtype=torch.float64)[None].requires_grad_()
    quantizer = activation(3, step, 0.25)
    y = quantizer(x)
    y.sum().backward()
    torch.testing.assert_close(y, activation(3, max(-step, 1e-8), 0.25)(x))
    assert all(g.isfinite().all() for g in (x.grad, quantizer.step.grad, quantizer.offset.grad))
