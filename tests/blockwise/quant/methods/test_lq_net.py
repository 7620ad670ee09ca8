"""LQ-Net against sections 3.2 and 3.3 of Zhang et al. 2018: exhaustive search and least squares by hand."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import quant

BITS = (1, 2, 3, 4)
ROLE_BITS = [(role, bits) for role in ("weight", "activation") for bits in BITS]
BIT_VALUES = {"weight": (-1, 1), "activation": (0, 1)}
seeds = st.integers(0, 10_000)


def with_basis(role: str, basis: torch.Tensor) -> quant.Quantizer:
    """In evaluation mode, where the basis stays."""
    groups, bits = basis.shape
    quantizer = quant.make("lq-net", bits, role, (groups, 1) if role == "weight" else ()).double().eval()
    quantizer.basis.copy_(basis)
    return quantizer


def all_codes(role: str, bits: int) -> torch.Tensor:
    """(2^b, b), bit j of the row's number in column j."""
    rows = [row[::-1] for row in itertools.product(BIT_VALUES[role], repeat=bits)]
    return torch.tensor(rows, dtype=torch.float64)


def search(role: str, x: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
    """The code row (n, b) whose level is nearest to each x (n,), by trying all of them."""
    codes = all_codes(role, len(basis))
    return codes[(x[:, None] - codes @ basis).abs().argmin(dim=1)]


def updated(role: str, x: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
    """v <- .9 v + .1 (B^T B + eps I)^-1 (B^T x + eps v), with B written out."""
    b, eye = search(role, x, basis), 1e-4 * torch.eye(len(basis), dtype=torch.float64)
    return 0.9 * basis + 0.1 * torch.linalg.solve(b.T @ b + eye, b.T @ x + 1e-4 * basis)


def sample(role: str, seed: int, *shape: int) -> torch.Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x.abs() if role == "activation" else x


def error(quantizer: quant.Quantizer, x: torch.Tensor) -> float:
    return float((quantizer(x) - x).square().sum())


# ------------------------------------------------------------------- values


def test_two_bit_weights_by_hand():
    """Levels -1.5, -0.5, 0.5, 1.5 in the first channel and -3, -1, 1, 3 in the second."""
    quantizer = with_basis("weight", torch.tensor([[0.5, 1.0], [1.0, 2.0]]))
    x = torch.tensor([[-9.0, -0.9, -0.1, 0.6, 1.1], [-2.1, -1.9, 0.0, 1.9, 2.1]], dtype=torch.float64)
    assert quantizer(x).tolist() == [[-1.5, -0.5, -0.5, 0.5, 1.5], [-3, -1, -1, 1, 3]]
    assert quantizer.codes(x).tolist() == [[0, 1, 1, 2, 3], [0, 1, 1, 2, 3]]


def test_two_bit_activations_by_hand():
    quantizer = with_basis("activation", torch.tensor([[0.5, 2.0]]))  # levels 0, 0.5, 2, 2.5
    x = torch.tensor([[-9.0, 0.2, 0.3, 1.2, 1.3, 2.2, 2.3, 9]], dtype=torch.float64)
    assert quantizer(x).tolist() == [[0, 0, 0.5, 0.5, 2, 2, 2.5, 2.5]]
    assert quantizer.codes(x).tolist() == [[0, 0, 1, 1, 2, 2, 3, 3]]


def test_bit_j_of_a_code_is_the_sign_of_the_basis_element_j_whatever_their_order():
    quantizer = with_basis("weight", torch.tensor([[3.0, 0.5, -1.0]]))
    x = torch.tensor([[4.4, 2.5, -4.5]], dtype=torch.float64)
    assert quantizer(x).tolist() == [[4.5, 2.5, -4.5]]  # 3 + .5 + 1, 3 + .5 - 1, -3 - .5 - 1
    assert quantizer.codes(x).tolist() == [[0b011, 0b111, 0b100]]


@pytest.mark.parametrize(("role", "bits"), ROLE_BITS)
@settings(max_examples=20)
@given(seed=seeds)
def test_every_value_takes_the_nearest_of_all_sums_also_of_bases_in_no_order(role, bits, seed):
    groups = 3 if role == "weight" else 1
    basis = sample("weight", seed, groups, bits)
    x = sample(role, seed + 1, groups, 60)
    y = with_basis(role, basis)(x)
    for row, values, v in zip(x, y, basis, strict=True):
        torch.testing.assert_close((values - row).abs(), (search(role, row, v) @ v - row).abs())


@pytest.mark.parametrize("bits", BITS)
def test_bases_start_from_the_quartile_of_he_initialised_weights_and_of_unit_activations(bits):
    conv = quant.make("lq-net", bits, "weight", (32, 16, 3, 3)).basis
    first = 0.6745 * math.sqrt(2 / (9 * 32)) / 2 ** (bits - 1)
    assert conv.shape == (32, bits)
    torch.testing.assert_close(conv, first * 2.0 ** torch.arange(bits).expand(32, bits))
    linear = quant.make("lq-net", bits, "weight", (10, 64)).basis
    assert linear[3, 0].item() == pytest.approx(0.6745 * math.sqrt(2 / 10) / 2 ** (bits - 1))
    (layer,) = quant.make("lq-net", bits, "activation").basis
    assert layer.tolist() == pytest.approx([0.6745 * 2 * 2**i / (2**bits - 1) for i in range(bits)])


# ---------------------------------------------------------- moving the basis


@pytest.mark.parametrize(("role", "bits"), ROLE_BITS)
@settings(max_examples=10)
@given(seed=seeds)
def test_the_basis_follows_the_least_squares_of_the_present_codes(role, bits, seed):
    groups = 3 if role == "weight" else 1
    quantizer = quant.make("lq-net", bits, role, (groups, 50) if role == "weight" else ()).double().train()
    expected = quantizer.basis.clone()
    for step in range(5):
        x = sample(role, seed + step, groups, 50)
        y, before = quantizer(x), expected
        expected = torch.stack([updated(role, row, v) for row, v in zip(x, expected, strict=True)])
        torch.testing.assert_close(quantizer.basis, expected, rtol=1e-6, atol=1e-8)
        for row, values, v in zip(x, y, before, strict=True):  # quantized before the basis moved
            torch.testing.assert_close(values, search(role, row, v) @ v)
    for row, values, v in zip(
        x, quantizer.eval()(x), expected, strict=True
    ):  # and after that by the moved one
        torch.testing.assert_close(values, search(role, row, v) @ v)


@pytest.mark.parametrize(("role", "bits"), ROLE_BITS)
def test_data_on_the_levels_are_a_fixed_point(role, bits):
    basis = torch.tensor([[0.3, 0.7, 1.1, 2.9][:bits]], dtype=torch.float64)
    x = (all_codes(role, bits) @ basis[0]).repeat(3)[None]
    quantizer = with_basis(role, basis).train()
    for _ in range(20):
        torch.testing.assert_close(quantizer(x), x)
    torch.testing.assert_close(quantizer.basis, basis)


@pytest.mark.parametrize(("role", "bits"), ROLE_BITS)
def test_on_the_same_data_the_error_falls_step_by_step(role, bits):
    x = sample(role, 3, 1, 400)
    quantizer = quant.make("lq-net", bits, role, (1, 400) if role == "weight" else ()).double()
    errors = []
    for _ in range(40):
        errors.append(error(quantizer.eval(), x))
        quantizer.train()(x)
    assert all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise(errors))


@pytest.mark.parametrize("role", ["weight", "activation"])
def test_a_few_values_end_near_the_best_basis_that_a_grid_holds(role):
    x = sample(role, 5, 1, 40)
    grid = torch.linspace(0, 3, 151, dtype=torch.float64)
    codes = all_codes(role, 2)
    bases = torch.cartesian_prod(grid, grid)
    best = (x[0, :, None, None] - codes @ bases.T).square().amin(dim=1).sum(dim=0).min().item()
    quantizer = quant.make("lq-net", 2, role, (1, 40) if role == "weight" else ()).double().train()
    for _ in range(200):
        quantizer(x)
    assert error(quantizer.eval(), x) < 1.1 * best


def test_only_a_training_pass_that_tracks_moves_the_basis():
    x = sample("weight", 1, 2, 30)
    quantizer = quant.make("lq-net", 2, "weight", (2, 30)).double()
    start = quantizer.basis.clone()
    quantizer.eval()(x)
    assert torch.equal(quantizer.basis, start)
    first = quantizer.train()(x)
    moved = quantizer.basis.clone()
    assert not torch.equal(moved, start)
    quantizer.tracks = False
    assert torch.equal(quantizer(x), first)  # as recomputation needs it
    assert torch.equal(quantizer.basis, moved)


def test_the_gradient_of_activations_ends_at_the_level_that_the_values_were_quantized_by():
    quantizer = quant.make("lq-net", 1, "activation").train()  # levels 0 and 1.349; the data raise the second
    x = torch.tensor([[1.348, 1.350, 9.0]], requires_grad=True)
    quantizer(x).sum().backward()
    assert quantizer.basis.item() > 1.4
    assert x.grad.tolist() == [[1.0, 0.0, 0.0]]


def test_a_loaded_basis_is_that_of_a_pass_that_does_not_track():
    x = sample("weight", 1, 2, 30)
    trained = quant.make("lq-net", 2, "weight", (2, 30)).double().train()
    trained(x)
    loaded = quant.make("lq-net", 2, "weight", (2, 30)).double().train()
    loaded.load_state_dict(trained.state_dict())
    loaded.tracks = False
    assert torch.equal(loaded(x), trained.eval()(x))


@pytest.mark.parametrize(("role", "bits"), ROLE_BITS)
@pytest.mark.parametrize("value", [0.0, 0.7, 1e-30, 1e30])
def test_data_that_say_little_leave_the_basis_finite(role, bits, value):
    """At a single level B^T B has rank one; eps alone decides on the rest, in float32 as well."""
    quantizer = quant.make("lq-net", bits, role, (2, 50_000) if role == "weight" else ()).train()
    x = torch.full((2, 50_000), value)
    for _ in range(3):
        assert quantizer(x).isfinite().all()
    assert quantizer.basis.isfinite().all()


@pytest.mark.parametrize("bits", BITS)
def test_a_direction_that_no_data_speak_of_stays(bits):
    """All values at one code: only the sum of the basis is known, and moves to the data."""
    quantizer = quant.make("lq-net", bits, "weight", (1, 100_000)).train()
    start = quantizer.basis.clone()
    x = torch.full((1, 100_000), 2 * start.sum().item())
    for step in range(1, 6):
        quantizer(x)
        total = start.sum() * (2 - 0.9**step)
        torch.testing.assert_close(quantizer.basis.sum(), total)
        torch.testing.assert_close(quantizer.basis.diff(), start.diff(), rtol=1e-3, atol=1e-6)


def test_activations_of_zero_leave_the_basis_as_it_is():
    quantizer = quant.make("lq-net", 3, "activation").train()
    start = quantizer.basis.clone()
    quantizer(torch.full((4, 5), -2.0))
    torch.testing.assert_close(quantizer.basis, start)


def test_nothing_is_left_to_the_optimizer():
    assert not list(quant.make("lq-net", 3, "weight", (4, 9)).parameters())


def test_another_width_starts_another_basis():
    quantizer = quant.make("lq-net", 2, "weight", (3, 8)).train()
    x = sample("weight", 0, 3, 8).float()
    quantizer.set_bits(32)
    assert quantizer(x) is x
    quantizer.set_bits(4)
    quantizer(x)
    quantizer.set_bits(2)
    assert quantizer.basis.shape == (3, 2)
    assert torch.equal(quantizer.basis, quant.make("lq-net", 2, "weight", (3, 8)).basis)


# ---------------------------------------------------------------- gradients


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("bits", BITS)
def test_weights_pass_the_gradient_as_it_is(bits, mode):
    x = (3 * sample("weight", 2, 4, 6)).requires_grad_()
    upstream = sample("weight", 3, 4, 6)
    quant.make("lq-net", bits, "weight", (4, 6)).double().train(mode)(x).backward(upstream)
    assert torch.equal(x.grad, upstream)


@pytest.mark.parametrize("bits", BITS)
@settings(max_examples=20)
@given(seed=seeds)
def test_activations_pass_it_from_zero_to_the_highest_level(bits, seed):
    basis = sample("activation", seed, 1, bits) + 0.1
    top = basis.sum().item()
    x = torch.cat([2 * sample("weight", seed, 1, 60), torch.tensor([[top, top + 1e-6, 0, -1e-6]])], dim=1)
    upstream = sample("weight", seed + 2, 1, 64)
    x.requires_grad_()
    with_basis("activation", basis)(x).backward(upstream)
    inside = [0 <= value <= top for value in x[0].tolist()]
    expected = [g if passes else 0 for g, passes in zip(upstream[0].tolist(), inside, strict=True)]
    assert x.grad[0].tolist() == expected
