"""Scalar centroids against the exact optimum, found by dynamic programming, and gradients by hand."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import quant
from blockwise.quant.methods.centroids import lloyd
from blockwise.quant.numeric.codebook import split

BITS = range(1, 9)
seeds = st.integers(0, 10_000)


def sample(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of(values: list[float], bits: int) -> quant.Quantizer:
    """With these centroids, in evaluation mode."""
    quantizer = quant.make("centroids", bits, "weight").double().eval()
    quantizer.set_up(torch.ones(1, dtype=torch.float64))
    with torch.no_grad():
        quantizer.codebook.copy_(torch.tensor(values, dtype=torch.float64)[:, None])
    return quantizer


def least_error(values: torch.Tensor, count: int) -> float:
    """Of any ``count`` centroids of ascending values: the best clusters are runs, so all can be tried."""
    place = torch.arange(len(values) + 1)
    sums, squares = (torch.cat([torch.zeros(1), power.cumsum(0)]) for power in (values, values.square()))
    members = (place - place[:, None]).clamp_min(1)
    cost = (squares - squares[:, None]) - (sums - sums[:, None]).square() / members  # of values i .. j - 1
    cost[place[:, None] > place] = torch.inf
    best = torch.full((len(values) + 1,), torch.inf, dtype=torch.float64)
    best[0] = 0
    for _ in range(count):
        best = (best[:, None] + cost).amin(dim=0)
    return float(best[-1])


def squared_error(values: torch.Tensor, centroids: torch.Tensor) -> float:
    return float((values[:, None] - centroids).square().amin(dim=1).sum())


# ------------------------------------------------------------------- values


def test_four_centroids_by_hand_in_whatever_order_they_are():
    quantizer = of([3.0, -1.0, 0.0, 1.0], 2)
    x = torch.tensor([[-7.0, -0.6, -0.4, 0.4], [0.6, 1.9, 2.1, 9.0]], dtype=torch.float64)
    assert quantizer(x).tolist() == [[-1, -1, 0, 0], [1, 1, 3, 3]]
    assert quantizer.codes(x).tolist() == [[0, 0, 1, 1], [2, 2, 3, 3]]  # in ascending order
    assert quantizer.constants(x)["codebook"][:, 0].tolist() == [-1, 0, 1, 3]


@settings(max_examples=30)
@given(seed=seeds, bits=st.integers(1, 6))
def test_every_weight_takes_the_nearest_centroid_of_all(seed, bits):
    centroids, x = sample(seed, 2**bits), 2 * sample(seed + 1, 50)
    expected = (x[:, None] - centroids).abs().amin(dim=1)
    torch.testing.assert_close((of(centroids.tolist(), bits)(x) - x).abs(), expected)


# ------------------------------------------------------------------- set-up


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("power", [1, 2])
def test_the_start_is_close_to_the_best_centroids_there_are(bits, power):
    """Also of values with heavy tails, where equal parts would be far from it."""
    normal = sample(bits, 800)
    values = (normal * normal.abs().pow(power - 1)).sort().values
    assert squared_error(values, lloyd(values, 2**bits)) < 1.15 * least_error(values, 2**bits)


def test_the_error_by_dynamic_programming_is_that_of_all_cuts():
    """The oracle itself, on few values: every way to cut them into three runs."""
    values = sample(1, 9).sort().values
    cuts = itertools.combinations(range(1, 9), 2)
    errors = [
        sum(float((run - run.mean()).square().sum()) for run in values.tensor_split(cut)) for cut in cuts
    ]
    assert least_error(values, 3) == pytest.approx(min(errors))


@pytest.mark.parametrize("bits", BITS)
def test_the_start_is_a_fixed_point_each_centroid_is_its_members_mean(bits):
    values = sample(bits, 500).sort().values
    centroids = lloyd(values, 2**bits)
    index = (values[:, None] - centroids).abs().argmin(dim=1)
    for number, centroid in enumerate(centroids):
        torch.testing.assert_close(values[index == number].mean(), centroid, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_as_many_values_as_centroids_are_all_found_however_often_each_occurs(bits):
    """A start that follows the density alone would put nearly all centroids on the commonest value."""
    distinct = torch.arange(2.0**bits, dtype=torch.float64)
    values = torch.cat([distinct, torch.zeros(1000, dtype=torch.float64)]).sort().values
    assert lloyd(values, 2**bits).tolist() == pytest.approx(distinct.tolist())


def test_fewer_values_than_centroids_are_represented_exactly():
    x = torch.tensor([[0.5, -2.0, 0.5, 7.0]])
    quantizer = quant.make("centroids", 4, "weight", (1, 4)).eval()
    torch.testing.assert_close(quantizer(x), x)


def test_the_start_depends_on_the_first_weights_alone():
    x = sample(0, 8, 9).float()
    first, second = (quant.make("centroids", 3, "weight", (8, 9)) for _ in range(2))
    assert torch.equal(first(x), second(x))
    found = first.codebook.clone()
    first.eval()(100 * x)
    assert torch.equal(first.codebook, found)


# ---------------------------------------------------------------- gradients


@settings(max_examples=30)
@given(seed=seeds, bits=st.integers(1, 5))
def test_a_centroids_gradient_is_the_mean_of_its_members_and_weights_pass_theirs(seed, bits):
    centroids, x, upstream = sample(seed, 2**bits), sample(seed + 1, 4, 10), sample(seed + 2, 4, 10)
    quantizer = of(centroids.tolist(), bits)
    x.requires_grad_()
    quantizer(x).backward(upstream)
    assert torch.equal(x.grad, upstream)
    members = (x.detach().reshape(-1, 1) - centroids).abs().argmin(dim=1)
    for number in range(2**bits):
        mine = upstream.reshape(-1)[members == number]
        expected = mine.mean() if len(mine) else torch.zeros((), dtype=torch.float64)
        torch.testing.assert_close(quantizer.codebook.grad[number, 0], expected)


def test_gradient_descent_on_the_error_ends_at_the_means():
    """With assignments as they are, the mean gradient of the error 1/2 (c - x)^2 is c minus the mean."""
    quantizer = of([-1.0, 1.0], 1)
    x = torch.tensor([-3.0, -2.0, -2.5, 4.0, 1.5], dtype=torch.float64)
    for _ in range(60):
        quantizer.zero_grad()
        ((quantizer(x) - x).square() / 2).sum().backward()
        with torch.no_grad():
            quantizer.codebook -= 0.5 * quantizer.codebook.grad
    assert quantizer.codebook[:, 0].tolist() == pytest.approx([-2.5, 2.75])


# ----------------------------------------------------------- empty clusters


TABLE = torch.tensor([[9.0], [2.0], [-4.0], [20.0]], dtype=torch.float64)


def halves(*rows: tuple[float, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Sizes and means, of what lies below and above, from rows (size, mean, size, mean)."""
    values = torch.tensor(rows, dtype=torch.float64).view(-1, 2, 2, 1)
    return values[:, :, 0], values[:, :, 1]


EMPTY, POINT = (0.0, 0.0, 0.0, 0.0), (7.0, -4.0, 0.0, 0.0)


def test_an_empty_cluster_takes_one_half_of_the_one_in_which_that_saves_most():
    """2 (1 + 1) of the first cluster, 10 (0.1^2 + 0.1^2) of the second."""
    sizes_and_means = halves(EMPTY, (2, 1, 2, 3), (10, -4.1, 10, -3.9), (1, 20, 0, 0))
    assert split(TABLE, *sizes_and_means).view(-1).tolist() == [3, 1, -4, 20]


def test_two_empty_clusters_take_from_two():
    sizes_and_means = halves(EMPTY, (2, 1, 2, 3), (10, -4.1, 10, -3.9), EMPTY)
    assert split(TABLE, *sizes_and_means).view(-1).tolist() == [3, 1, -4.1, -3.9]


def test_nothing_is_split_that_is_at_one_place_and_nothing_without_need():
    one_place = halves(EMPTY, (2, 2, 2, 2), POINT, EMPTY)
    assert torch.equal(split(TABLE, *one_place), TABLE)
    no_need = halves((1, 8, 1, 10), (2, 1, 2, 3), POINT, (1, 20, 0, 0))
    assert torch.equal(split(TABLE, *no_need), TABLE)


def test_training_fills_an_empty_cluster_before_it_quantizes():
    x = torch.tensor([0.0, 1.0, 2.0, 3.0], dtype=torch.float64)
    quantizer = of([1.5, 50.0], 1)
    assert quantizer(x).tolist() == [1.5] * 4  # in evaluation nothing changes
    quantizer.train()
    first = quantizer(x)
    assert first.tolist() == [0.5, 0.5, 2.5, 2.5]
    assert quantizer.codebook[:, 0].tolist() == [0.5, 2.5]


def test_a_repeated_pass_fills_none_and_sees_what_the_first_one_saw():
    x = torch.tensor([0.0, 1.0, 2.0, 3.0], dtype=torch.float64)
    quantizer = of([1.5, 50.0], 1).train()
    quantizer.tracks = False
    assert quantizer(x).tolist() == [1.5] * 4
    quantizer.tracks = True
    first = quantizer(x)
    quantizer.tracks = False
    assert torch.equal(quantizer(x), first)


# -------------------------------------------------------------------- widths


def test_another_width_keeps_the_parameter_and_clusters_again():
    x = sample(0, 6, 9).float()
    quantizer = quant.make("centroids", 2, "weight", (6, 9))
    parameter = quantizer.codebook
    for bits in (32, 4, 2):
        quantizer.set_bits(bits)
        quantizer(x).sum().backward() if bits < 32 else quantizer(x)
        assert quantizer.codebook is parameter
        assert len(parameter) == 2 ** min(bits, 2 if bits == 32 else bits)
    assert torch.equal(quantizer(x), quant.make("centroids", 2, "weight", (6, 9))(x))
