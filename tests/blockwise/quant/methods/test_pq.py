"""Product quantization against exhaustive search, k-means restarted many times, and scalar centroids."""

import itertools

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from small_networks import fitting

from blockwise import models, quant
from blockwise.quant.layers import QuantWeighted

BITS = range(4, 9)
SHAPES = {
    (4, 6, 3, 3): 9,
    (4, 6, 5, 5): 25,
    (8, 8, 1, 1): 4,
    (8, 12): 4,
    (8, 10): 1,
    (5, 3, 1, 1): 1,
    (6, 1, 3, 3): 9,
}
seeds = st.integers(0, 10_000)


def sample(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of(codebook: torch.Tensor, shape: tuple[int, ...]) -> quant.Quantizer:
    """With 2^4 codewords, in evaluation mode."""
    quantizer = quant.make("pq", 4, "weight", shape).double().eval()
    quantizer.set_up(torch.ones(shape, dtype=torch.float64))
    with torch.no_grad():
        quantizer.codebook.copy_(codebook)
    return quantizer


@pytest.mark.parametrize(("shape", "block"), SHAPES.items())
@settings(max_examples=10)
@given(seed=seeds)
def test_every_block_takes_the_codeword_of_least_square_distance_of_all(shape, block, seed):
    codebook, x = sample(seed, 16, block), sample(seed + 1, *shape)
    quantizer = of(codebook, shape)
    blocks = x.reshape(-1, block)
    distances = (blocks[:, None] - codebook).square().sum(dim=2)
    codes = quantizer.codes(x)
    assert codes.numel() == x.numel() // block
    assert torch.equal(codes.view(-1), distances.argmin(dim=1))
    assert torch.equal(quantizer(x), codebook[codes.view(-1)].view(shape))


def test_blocks_are_kernels_or_four_neighbouring_inputs():
    x = torch.arange(2 * 3 * 9.0).view(2, 3, 3, 3)
    blocks = [x[o, i].reshape(-1) for o, i in itertools.product(range(2), range(3))]
    quantizer = quant.make("pq", 4, "weight", (2, 3, 3, 3)).eval()
    quantizer(x)
    found = {tuple(row) for row in quantizer.codebook.tolist()}
    assert found == {tuple(block.tolist()) for block in blocks}
    flat = torch.arange(16.0).view(2, 8, 1, 1)
    quantizer = quant.make("pq", 4, "weight", (2, 8, 1, 1)).eval()
    quantizer(flat)
    assert {tuple(row) for row in quantizer.codebook.tolist()} == {
        (0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11), (12, 13, 14, 15),
    }  # fmt: skip


@pytest.mark.parametrize("model", models.CATALOGUE)
def test_blocks_are_those_that_the_ledger_counts(model):
    chain = models.build(model, fitting(model, (1, 8, 8)), 10, 4)
    layers = {layer.name: layer for layer in chain.describe(blocks="layers", head="gap").layers}
    quant.quantize(chain, "pq")
    counted = {
        path: module.weight_quantizer.block
        for path, module in chain.units.named_modules()
        if isinstance(module, QuantWeighted)
    }
    assert counted
    assert counted == {path: layers[path].code_block for path in counted}


@settings(max_examples=20)
@given(seed=seeds)
def test_a_codewords_gradient_is_the_mean_of_its_members_and_weights_pass_theirs(seed):
    shape = (8, 4, 3, 3)
    codebook, x, upstream = sample(seed, 16, 9), sample(seed + 1, *shape), sample(seed + 2, *shape)
    quantizer = of(codebook, shape)
    x.requires_grad_()
    quantizer(x).backward(upstream)
    assert torch.equal(x.grad, upstream)
    members, blocks = quantizer.codes(x.detach()), upstream.reshape(-1, 9)
    for number in range(16):
        mine = blocks[members == number]
        expected = mine.mean(dim=0) if len(mine) else torch.zeros(9, dtype=torch.float64)
        torch.testing.assert_close(quantizer.codebook.grad[number], expected)


def restarted(blocks: torch.Tensor, count: int, seed: int) -> float:
    """The square error of textbook k-means from random blocks."""
    generator = torch.Generator().manual_seed(seed)
    centres = blocks[torch.randperm(len(blocks), generator=generator)[:count]].clone()
    for _ in range(50):
        index = (blocks[:, None] - centres).square().sum(dim=2).argmin(dim=1)
        for number in range(count):
            if (index == number).any():
                centres[number] = blocks[index == number].mean(dim=0)
    return float((blocks[:, None] - centres).square().sum(dim=2).amin(dim=1).sum())


def test_the_start_is_about_as_good_as_the_best_of_many_random_ones():
    x = sample(3, 16, 20, 3, 3)
    quantizer = quant.make("pq", 4, "weight", tuple(x.shape)).double().eval()
    error = float((quantizer(x).detach() - x).square().sum())
    assert error < 1.05 * min(restarted(x.reshape(-1, 9), 16, seed) for seed in range(8))


def test_clusters_that_are_apart_are_found_exactly():
    centres = 10 * sample(1, 16, 9)
    x = (centres.repeat(8, 1) + 0.01 * sample(2, 128, 9)).view(8, 16, 3, 3)
    y = quant.make("pq", 4, "weight", (8, 16, 3, 3)).double().eval()(x)
    assert (y - x).abs().max() < 0.1


def test_with_as_many_codewords_as_blocks_weights_stay_as_they_are():
    x = sample(1, 4, 4, 3, 3)
    torch.testing.assert_close(quant.make("pq", 4, "weight", (4, 4, 3, 3)).double().eval()(x), x)


@pytest.mark.parametrize("bits", BITS)
def test_blocks_of_one_are_scalar_centroids(bits):
    """A layer whose inputs cannot be divided by four; the same codebook gives the same weights."""
    x = sample(bits, 30, 7)
    scalar, product = (
        quant.make(name, bits, "weight", (30, 7)).double().eval() for name in ("centroids", "pq")
    )
    expected = scalar(x)
    product(x)
    product.load_state_dict(scalar.state_dict())
    torch.testing.assert_close(product(x), expected)


@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_scaled_weights_have_the_same_codes(factor):
    x = sample(4, 8, 10, 3, 3).float()
    plain, scaled = (quant.make("pq", 5, "weight", (8, 10, 3, 3)).eval() for _ in range(2))
    plain(x), scaled(factor * x)
    with torch.no_grad():
        scaled.codebook.copy_(factor * plain.codebook)
    assert torch.equal(plain.codes(x), scaled.codes(factor * x))


@settings(max_examples=20)
@given(seed=seeds, kept=st.integers(1, 15))
@example(seed=1, kept=15)
def test_training_fills_empty_clusters_and_a_repeated_pass_sees_the_same(seed, kept):
    x, codebook = sample(seed, 8, 8, 3, 3), sample(seed + 1, 16, 9)
    codebook[kept:] = 100
    quantizer = of(codebook, (8, 8, 3, 3))
    with torch.no_grad():
        before, used = (quantizer(x) - x).square().sum(), len(quantizer.codes(x).unique())
        first = quantizer.train()(x)
        assert (first - x).square().sum() < before
        # the last empty cluster may be filled by the last members of another
        assert len(quantizer.codes(x).unique()) >= used + (kept < 12)
        quantizer.tracks = False
        assert torch.equal(quantizer(x), first)


def test_three_by_three_kernels_take_a_ninth_of_the_codes():
    x = sample(0, 32, 16, 3, 3).float()
    quantizer = quant.make("pq", 8, "weight", (32, 16, 3, 3)).eval()
    quantizer(x)
    packed = quant.pack(quantizer, x)
    assert packed.codes.numel() == 32 * 16  # a byte to a kernel
    assert packed.constants["codebook"].shape == (256, 9)
