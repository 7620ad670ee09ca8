"""Levels chosen after training, against brute force over all ends, and by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import quant
from blockwise.quant.methods.ptq import GRID
from devices.errors import InputError

NAMES = ("ptq-minmax", "ptq-percentile", "ptq-mse")
BITS = range(2, 9)
ROLES = ("weight", "activation")
seeds = st.integers(0, 10_000)
every_name = pytest.mark.parametrize("name", NAMES)
every_role = pytest.mark.parametrize("role", ROLES)


def sample(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def new(name: str, bits: int, role: str, shape: tuple[int, ...]) -> quant.Quantizer:
    return quant.make(name, bits, role, shape if role == "weight" else ()).double().eval()


def limits(role: str, bits: int) -> tuple[int, int]:
    return (0, 2**bits - 1) if role == "activation" else (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1)


def uniform(x: torch.Tensor, end: float, role: str, bits: int) -> torch.Tensor:
    """Rounded to levels that reach up to ``end``."""
    low, high = limits(role, bits)
    return torch.tensor(
        [min(max(round(v * high / end), low), high) * end / high for v in x.flatten().tolist()]
    )


# ------------------------------------------------------------------- values


@every_role
@settings(max_examples=30)
@given(seed=seeds, bits=st.sampled_from(BITS))
def test_min_max_levels_reach_the_largest_magnitude_of_each_channel_or_of_all_activations(role, seed, bits):
    x = sample(seed, 3, 20) * torch.tensor([[1.0], [10.0], [0.1]])
    y = new("ptq-minmax", bits, role, (3, 20))(x)
    rows = zip(x, y, strict=True) if role == "weight" else [(x, y)]
    for values, found in rows:
        end = (values if role == "activation" else values.abs()).max().item()
        expected = uniform(values, end, role, bits).to(found)
        torch.testing.assert_close(found.flatten(), expected)
        assert found.abs().max().item() == pytest.approx(end)


def test_three_bits_by_hand():
    x = torch.tensor([[-3.0, 0.4, 0.6, 1.6], [30, 4, 6, -16]], dtype=torch.float64)
    weights, activations = new("ptq-minmax", 3, "weight", (2, 4)), new("ptq-minmax", 3, "activation", ())
    assert weights(x).tolist() == [[-3, 0, 1, 2], [30, 0, 10, -20]]
    assert weights.codes(x).tolist() == [[0, 3, 4, 5], [6, 3, 4, 1]]
    assert weights.constants(x)["step"].tolist() == [1, 10]
    a = torch.tensor([[-5.0, 0.4, 0.6], [6.4, 7, 1.5]], dtype=torch.float64)
    assert activations(a).tolist() == [[0, 0, 1], [6, 7, 2]]
    assert activations.codes(a).tolist() == [[0, 0, 1], [6, 7, 2]]


@pytest.mark.parametrize("bits", BITS)
def test_one_in_a_thousand_activations_or_weights_are_beyond_the_percentile(bits):
    """2000 values 1 .. 2000: 99.9 % of them do not exceed 1998."""
    x = torch.arange(1.0, 2001, dtype=torch.float64)[None]
    for role in ROLES:
        quantizer = new("ptq-percentile", bits, role, (1, 2000))
        assert quantizer(x).max().item() == pytest.approx(1998)
        assert (quantizer.step * limits(role, bits)[1]).item() == pytest.approx(1998)


def test_the_percentile_ignores_an_outlier_that_min_max_follows():
    x = torch.cat([torch.rand(9999, generator=torch.Generator().manual_seed(0)), torch.tensor([1000.0])])[
        None
    ]
    robust, plain = new("ptq-percentile", 4, "activation", ()), new("ptq-minmax", 4, "activation", ())
    errors = [float((q(x) - x)[:, :-1].square().sum()) for q in (robust, plain)]
    assert errors[0] < 0.01 * errors[1]


@every_role
@settings(max_examples=25)
@given(seed=seeds, bits=st.sampled_from(BITS), power=st.integers(1, 3))
def test_the_least_error_is_that_of_the_best_end_on_the_grid(role, seed, bits, power):
    x = sample(seed, 2, 60).pow(power)
    y = new("ptq-mse", bits, role, (2, 60))(x)
    target = x if role == "weight" else x.relu()
    rows = zip(target, y, strict=True) if role == "weight" else [(target, y)]
    for values, found in rows:
        ends = [values.abs().max().item() * i / GRID for i in range(1, GRID + 1)]
        flat = values.flatten()
        least = min(float((uniform(flat, end, role, bits) - flat).square().sum()) for end in ends)
        assert float((found - values).square().sum()) == pytest.approx(least, rel=1e-4)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_of_the_three_the_least_error_has_the_least(bits):
    x = sample(1, 4, 500)
    errors = {name: float((new(name, bits, "weight", (4, 500))(x) - x).square().sum()) for name in NAMES}
    assert errors["ptq-mse"] < min(errors["ptq-minmax"], errors["ptq-percentile"])


def test_the_best_end_for_two_bit_normal_weights_is_the_known_one():
    """Levels -d, 0, d: for the normal distribution the error is least at d = 1.224 (Max 1960, 3 levels)."""
    x = sample(2, 1, 400_000)
    quantizer = new("ptq-mse", 2, "weight", (1, 400_000))
    quantizer(x)
    assert quantizer.step.item() == pytest.approx(1.224, abs=0.05)


@every_name
@every_role
@pytest.mark.parametrize("factor", [1e-30, 1e-3, 1e3, 1e30])
def test_the_scale_of_the_data_is_carried_through(name, role, factor):
    x = sample(3, 4, 50).float()
    plain = quant.make(name, 4, role, (4, 50) if role == "weight" else ())
    scaled = quant.make(name, 4, role, (4, 50) if role == "weight" else ())
    torch.testing.assert_close(scaled(factor * x) / factor, plain(x), rtol=1e-4, atol=1e-5)


@every_name
def test_a_channel_of_zeros_stays_zero_and_disturbs_no_other(name):
    x = sample(4, 3, 30)
    alone = new(name, 3, "weight", (3, 30))(x)
    x[1] = 0
    y = new(name, 3, "weight", (3, 30))(x)
    assert y[1].tolist() == [0] * 30
    assert torch.equal(y[[0, 2]], alone[[0, 2]])


@every_name
@every_role
@pytest.mark.parametrize("bits", BITS)
def test_only_the_first_tensor_chooses_the_levels(name, role, bits):
    quantizer = new(name, bits, role, (4, 9))
    quantizer(sample(0, 4, 9))
    step = quantizer.step.clone()
    quantizer(100 * sample(1, 4, 9))
    assert torch.equal(quantizer.step, step)


@every_name
@every_role
def test_gradients_pass_within_the_range(name, role):
    x = sample(0, 4, 9)
    quantizer = new(name, 3, role, (4, 9))
    quantizer(x)
    wide = (3 * x).requires_grad_()
    upstream = sample(1, 4, 9)
    quantizer(wide).backward(upstream)
    low, high = (limit * quantizer.step[:, None] for limit in limits(role, 3))
    inside = (wide >= low) & (wide <= high)
    torch.testing.assert_close(wide.grad, torch.where(inside, upstream, 0))


# --------------------------------------------------------------- in training


@every_name
@every_role
def test_until_training_is_over_floats_pass(name, role):
    quantizer, x = new(name, 3, role, (4, 9)), sample(0, 4, 9)
    quantizer.set_bits(32)
    assert torch.equal(quantizer(x), x if role == "weight" else x.relu())
    quantizer.set_bits(quantizer.target_bits)
    assert torch.equal(quantizer(x), new(name, 3, role, (4, 9))(x))


@every_name
@every_role
def test_codes_before_any_data_are_refused(name, role):
    quantizer, x = new(name, 3, role, (4, 9)), sample(0, 4, 9)
    for use in (quantizer.codes, quantizer.constants):
        with pytest.raises(InputError, match=f"quantizer of {role}s: got no calibration data, wanted levels"):
            use(x)


def test_only_these_methods_wait_for_the_end_of_training():
    assert {name for name, entry in quant.METHODS.items() if entry.after_training} == set(NAMES)


def test_a_bit_chain_does_not_start_them_early():
    quantizer = quant.make("ptq-mse", 3, "weight", (4, 9))
    quantizer.set_bits(32)
    stages = quant.Stages.chain((32, 4, 3))
    for stage in range(3):
        stages.enter(torch.nn.Sequential(quantizer), stage)
        assert quantizer.bits == 32


def test_the_grid_holds_the_whole_range():
    x = torch.tensor([[1.0, 0.0, -1.0]], dtype=torch.float64)
    assert math.isclose(float(new("ptq-mse", 2, "weight", (1, 3))(x)[0, 0]), 1)
