"""UNIQ against the normal distribution of Python's own statistics module, and the chain rule."""

import math
from statistics import NormalDist, fmean, pstdev

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import quant

BITS = range(1, 9)
NORMAL = NormalDist()
seeds = st.integers(0, 10_000)


def sample(seed: int, *shape: int) -> torch.Tensor:
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return 0.2 * noise + 0.05


def deployed(x: list[float], bits: int) -> list[float]:
    """F^-1((floor(k F(w)) + 1/2) / k)."""
    normal, count = NormalDist(fmean(x), pstdev(x)), 2**bits
    return [normal.inv_cdf((math.floor(count * normal.cdf(w)) + 0.5) / count) for w in x]


def noise_of_next_step(quantizer: quant.Quantizer, x: torch.Tensor) -> torch.Tensor:
    """Uniform within 1/2k either way; the quantizer has then drawn it and will use it if it repeats."""
    quantizer.tracks = True
    uniform = quantizer.noise(x).double()
    quantizer.tracks = False
    return (2 * uniform - 1) * 0.5 / 2**quantizer.bits


@settings(max_examples=40)
@given(seed=seeds, bits=st.sampled_from(BITS))
def test_deployed_weights_are_the_formulas(seed, bits):
    x = sample(seed, 5, 8)
    y = quant.make("uniq", bits, "weight", (5, 8)).eval()(x)
    assert y.flatten().tolist() == pytest.approx(deployed(x.flatten().tolist(), bits))


def test_one_bit_by_hand():
    """Mean 1, deviation 2: the quartiles are 1 -+ 2 * 0.6745."""
    x = torch.tensor([-1.0, 3.0, -1.0, 3.0], dtype=torch.float64)
    quantizer = quant.make("uniq", 1, "weight", (4,)).eval()
    assert quantizer(x).tolist() == pytest.approx([1 - 2 * 0.67449, 1 + 2 * 0.67449] * 2, rel=1e-5)
    assert quantizer.codes(x).tolist() == [0, 1, 0, 1]
    assert {name: float(value) for name, value in quantizer.constants(x).items()} == {"mean": 1, "std": 2}


@pytest.mark.parametrize("bits", BITS)
def test_all_codes_are_taken_by_about_equal_shares_of_normal_weights(bits):
    x = torch.randn(200_000, generator=torch.Generator().manual_seed(bits))
    counts = quant.make("uniq", bits, "weight", (200_000,)).codes(x).bincount(minlength=2**bits)
    expected = len(x) / 2**bits
    assert (counts - expected).abs().max() < 5.5 * math.sqrt(expected) + 0.01 * expected


@settings(max_examples=30)
@given(seed=seeds, bits=st.sampled_from(BITS))
def test_weights_and_gradients_in_training_are_the_formulas_with_its_noise(seed, bits):
    x, upstream = sample(seed, 4, 9), sample(seed + 1, 4, 9)
    normal = NormalDist(fmean(x.flatten().tolist()), pstdev(x.flatten().tolist()))
    half = 0.5 / 2**bits
    quantizer = quant.make("uniq", bits, "weight", (4, 9)).train()
    noise = noise_of_next_step(quantizer, x)
    leaf = x.clone().requires_grad_()
    y = quantizer(leaf)
    y.backward(upstream)
    pairs = zip(x.flatten().tolist(), noise.flatten().tolist(), upstream.flatten().tolist(), strict=True)
    values, slopes = [], []
    for w, e, g in pairs:
        share = normal.cdf(w) + e
        value = normal.inv_cdf(min(max(share, half), 1 - half))
        values.append(value)
        slopes.append(g * normal.pdf(w) / normal.pdf(value) if half <= share <= 1 - half else 0.0)
    assert y.flatten().tolist() == pytest.approx(values, rel=1e-5, abs=1e-7)
    assert leaf.grad.flatten().tolist() == pytest.approx(slopes, rel=1e-4, abs=1e-7)


def test_deployed_weights_pass_the_gradient_unchanged():
    x, upstream = sample(0, 30).requires_grad_(), sample(1, 30)
    quant.make("uniq", 3, "weight", (30,)).eval()(x).backward(upstream)
    assert torch.equal(x.grad, upstream)


@pytest.mark.parametrize("bits", [2, 4])
def test_the_noise_has_the_spread_of_the_rounding_that_it_stands_for(bits):
    """Of normal weights: differences in F between noisy or deployed weights and the latent ones."""
    x = torch.randn(100_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    quantizer = quant.make("uniq", bits, "weight", (100_000,))
    latent = torch.special.ndtr(x)
    inner = (latent - 0.5).abs() < 0.5 - 1 / 2**bits  # away from the ends
    spreads = [
        (torch.special.ndtr((quantizer.train(mode)(x) - x.mean()) / x.std()) - latent)[inner].std()
        for mode in (True, False)
    ]
    expected = 1 / 2**bits / math.sqrt(12)
    assert [float(s) for s in spreads] == pytest.approx([expected, expected], rel=0.02)


@pytest.mark.parametrize("value", [0.0, 0.3, 1e-30, 1e30])
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_equal_weights_stay_finite_in_training(value, bits):
    x = torch.full((4, 6), value, requires_grad=True)
    y = quant.make("uniq", bits, "weight", (4, 6)).train()(x)
    y.sum().backward()
    torch.testing.assert_close(y.detach(), x.detach(), rtol=1e-5, atol=0)
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_scale_of_the_weights_is_carried_through(scale):
    x = sample(3, 6, 7)
    plain = quant.make("uniq", 3, "weight", (6, 7)).eval()(x)
    scaled = quant.make("uniq", 3, "weight", (6, 7)).eval()((scale * x).float())
    torch.testing.assert_close(scaled.double() / scale, plain, rtol=1e-5, atol=1e-6)
