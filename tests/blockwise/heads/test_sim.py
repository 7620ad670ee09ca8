"""The published similarity loss, beside numpy and by hand."""

import numpy as np
import pytest
import torch
from head_inputs import batch, gradients
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from blockwise import heads
from blockwise.heads.sim import SimilarityBranch, SimilarityMatching, similarity_matrix


def convolved(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A 3x3 convolution as the sum of nine shifted products."""
    height, width = x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    total = np.zeros((x.shape[0], weight.shape[0], height, width))
    for i in range(3):
        for j in range(3):
            window = padded[:, :, i : i + height, j : j + width]
            total += np.einsum("bchw,oc->bohw", window, weight[:, :, i, j])
    return total


def similarity(rows: np.ndarray) -> np.ndarray:
    """Nøkland & Eidnes 2019, equation 1, row by row."""
    size = len(rows)
    matrix = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            a, b = rows[i] - rows[i].mean(), rows[j] - rows[j].mean()
            matrix[i, j] = a @ b / ((np.linalg.norm(a) + 1e-8) * (np.linalg.norm(b) + 1e-8))
    return matrix


def published_sim(h: np.ndarray, y: np.ndarray, weight: np.ndarray, classes: int) -> float:
    if h.ndim == 2:
        rows = h @ weight.T
    else:
        maps = convolved(h, weight)
        spread = h.shape[1] > 3 and h.shape[2] > 1
        flat = maps.reshape(*maps.shape[:2], -1)
        rows = flat.std(axis=2, ddof=1) if spread else maps.reshape(len(h), -1)
    targets = np.eye(classes)[y]
    return float(np.mean((similarity(rows) - similarity(targets)) ** 2))


@pytest.mark.parametrize("shape", [(8, 8, 8), (4, 1, 1), (3, 5, 7), (4, 6, 3), (20,)], ids=str)
@settings(max_examples=15)
@given(seed=st.integers(0, 1000), size=st.integers(2, 9))
def test_sim_is_the_published_formula(shape, seed, size):
    head = heads.make("sim", shape, 10).double()
    h, _ = batch(shape, size, seed)
    y = torch.randint(10, (size,), generator=torch.Generator().manual_seed(seed))
    weight = next(head.parameters()).detach().numpy()
    expected = published_sim(h.double().numpy(), y.numpy(), weight, 10)
    assert head(h.double(), y).item() == pytest.approx(expected, rel=1e-6)


def test_similarities_are_correlation_coefficients():
    x = batch((50,), 8)[0].double()
    np.testing.assert_allclose(similarity_matrix(x).numpy(), np.corrcoef(x.numpy()), atol=1e-7)


def test_similarities_by_hand():
    # centred: (-1, 0, 1), (1, 0, -1), (-1, 2, -1); cosines -1 and 0
    x = torch.tensor([[1.0, 2, 3], [3, 2, 1], [0, 3, 0]])
    expected = torch.tensor([[1.0, -1, 0], [-1, 1, 0], [0, 0, 1]])
    torch.testing.assert_close(similarity_matrix(x), expected)


def test_labels_of_ten_classes_resemble_each_other_by_minus_a_ninth():
    """One-hot rows: variance 9/100 and covariance -1/100."""
    matrix = similarity_matrix(torch.eye(10))
    assert matrix[0, 0].item() == pytest.approx(1)
    assert matrix[0, 1].item() == pytest.approx(-1 / 9)


@settings(max_examples=100)
@given(
    rows=st.lists(st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3), min_size=2, max_size=6),
    scale=st.sampled_from([1.0, 1e-6, 1e6]),
)
def test_similarities_stay_within_plus_and_minus_one_with_finite_gradients(rows, scale):
    x = (torch.tensor(rows) * scale).requires_grad_()
    matrix = similarity_matrix(x)
    assert matrix.abs().max() <= 1
    torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=1e-6)
    matrix.square().sum().backward()
    assert x.grad.isfinite().all()


def test_a_constant_row_resembles_nothing_and_gets_no_gradient():
    x = torch.tensor([[1.0, 2, 4], [0.1, 0.1, 0.1], [0, 0, 0], [3, 1, 0]], requires_grad=True)
    matrix = similarity_matrix(x)
    assert not matrix[1:3].any()
    assert not matrix[:, 1:3].any()
    (matrix - 0.5).square().sum().backward()
    assert not x.grad[1:3].any()
    assert x.grad[0].any()
    assert x.grad[3].any()


def test_the_other_rows_do_not_notice_a_dead_one():
    x, y = batch((12,), 5)[0].double(), torch.tensor([0, 1, 1, 2, 0])
    with_dead = torch.cat([x, torch.zeros(1, 12, dtype=torch.float64)])
    assert torch.equal(similarity_matrix(with_dead)[:5, :5], similarity_matrix(x))
    loss = SimilarityMatching(3)(with_dead, torch.tensor([*y, 2]))
    assert loss.item() == pytest.approx(np.mean(
        (similarity(with_dead.numpy()) - similarity(np.eye(3)[[*y, 2]])) ** 2
    ))  # fmt: skip


def test_perfect_features_have_no_loss():
    y = torch.tensor([0, 1, 2, 1, 0])
    loss = SimilarityMatching(3)(5 * F.one_hot(y, 3).float() + 2, y)
    assert loss.item() == pytest.approx(0, abs=1e-10)


def test_the_similarity_gradient_is_autograds_on_the_plain_formula():
    h, y = batch((8, 6, 6), 5)
    head = heads.make("sim", (8, 6, 6), 10).double()
    first, *others = gradients(head, h.double(), y)
    leaf, weight = h.double().requires_grad_(), head.branch[0].weight.detach().requires_grad_()
    rows = F.conv2d(leaf, weight, padding=1).flatten(2).std(dim=2)
    F.mse_loss(plain_similarity(rows), plain_similarity(F.one_hot(y, 10).double())).backward()
    torch.testing.assert_close(first, leaf.grad, rtol=1e-7, atol=1e-12)
    torch.testing.assert_close(others[0], weight.grad, rtol=1e-7, atol=1e-12)


def plain_similarity(rows: torch.Tensor) -> torch.Tensor:
    """The formula as published, for rows that differ."""
    centred = rows - rows.mean(dim=1, keepdim=True)
    unit = centred / (centred.norm(dim=1, keepdim=True) + 1e-8)
    return unit @ unit.T


def test_three_channels_or_a_single_row_are_flattened_instead_of_spread():
    for shape, features in (((3, 5, 7), 105), ((4, 1, 1), 4), ((4, 1, 5), 20), ((4, 2, 2), 4)):
        assert SimilarityBranch(shape)(batch(shape)[0]).shape == (6, features)
