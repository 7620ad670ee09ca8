"""Quant-Noise against its formula by hand: which weights are quantized, to what, and by which gradient."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import quant

BITS = range(1, 9)
seeds = st.integers(0, 10_000)


def sample(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def grid(x: torch.Tensor, bits: int) -> torch.Tensor:
    return torch.linspace(x.min().item(), x.max().item(), 2**bits, dtype=torch.float64)


@settings(max_examples=40)
@given(seed=seeds, bits=st.sampled_from(BITS))
def test_deployed_weights_take_the_nearest_of_even_levels_from_the_least_to_the_largest(seed, bits):
    x = sample(seed, 6, 9)
    y = quant.make("quant-noise", bits, "weight", (6, 9)).eval()(x)
    nearest = (x[..., None] - grid(x, bits)).abs().amin(dim=2)
    torch.testing.assert_close((y - x).abs(), nearest)


def test_two_bits_by_hand():
    x = torch.tensor([-1.0, -0.6, -0.4, 0.4, 0.6, 1.6, 2.0], dtype=torch.float64)
    quantizer = quant.make("quant-noise", 2, "weight", (7,)).eval()
    assert quantizer(x).tolist() == [-1, -1, 0, 0, 1, 2, 2]
    assert quantizer.codes(x).tolist() == [0, 0, 1, 1, 2, 3, 3]
    assert {name: float(t) for name, t in quantizer.constants(x).items()} == {"low": -1, "step": 1}


@settings(max_examples=40)
@given(seed=seeds, bits=st.sampled_from(BITS))
def test_in_training_each_weight_is_either_quantized_or_left_and_passes_its_gradient(seed, bits):
    x, upstream = sample(seed, 6, 9).requires_grad_(), sample(seed + 1, 6, 9)
    quantizer = quant.make("quant-noise", bits, "weight", (6, 9)).train()
    y = quantizer(x)
    y.backward(upstream)
    quantizer.tracks = False
    chosen = quantizer.noise(x) < 0.5  # the draw of the step just made
    assert torch.equal(y, torch.where(chosen, quantizer.eval()(x), x))
    assert torch.equal(x.grad, upstream)


@pytest.mark.parametrize("bits", [2, 8])
def test_half_of_the_weights_are_quantized_in_a_step_and_all_of_them_half_of_the_time(bits):
    x = sample(0, 500)
    quantizer = quant.make("quant-noise", bits, "weight", (500,)).train()
    with torch.no_grad():
        moved = torch.stack([quantizer(x) != x for _ in range(200)])[:, (x > x.min()) & (x < x.max())]
    assert moved.double().mean().item() == pytest.approx(0.5, abs=0.01)
    assert (moved.double().mean(dim=0) - 0.5).abs().max() < 0.16  # 4.5 deviations
    assert (moved.double().mean(dim=1) - 0.5).abs().max() < 0.1


def test_on_average_training_sees_weights_half_way_to_their_levels():
    x = sample(1, 300)
    quantizer = quant.make("quant-noise", 2, "weight", (300,))
    with torch.no_grad():
        mean = torch.stack([quantizer.train()(x) for _ in range(2000)]).mean(dim=0)
        torch.testing.assert_close(mean, (x + quantizer.eval()(x)) / 2, rtol=0, atol=0.06)


@pytest.mark.parametrize("bits", BITS)
def test_the_ends_stay_and_no_weight_moves_by_more_than_half_a_step(bits):
    x = sample(2, 400)
    y = quant.make("quant-noise", bits, "weight", (400,)).eval()(x)
    step = (x.max() - x.min()) / (2**bits - 1)
    assert (y - x).abs().max() <= step / 2 * (1 + 1e-12)
    torch.testing.assert_close(torch.stack([y.min(), y.max()]), torch.stack([x.min(), x.max()]))
