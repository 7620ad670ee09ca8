"""Local heads: what all promise, their sizes by hand, and the published similarity loss in numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from blockwise import heads, models, quant
from blockwise.heads.sim import SimilarityBranch, SimilarityLoss, similarity_matrix
from blockwise.nets.blocks import BlockNet
from blockwise.nets.cuts import cut
from devices.errors import InputError

SHAPES = [(16, 32, 32), (8, 8, 8), (4, 1, 1), (3, 5, 7), (20,)]
SIMS = ("sim", "sim-pooled")
COMPARING = (*SIMS, "predsim", "predsim-pooled", "predsim-lean")
every_head = pytest.mark.parametrize("name", heads.CATALOGUE)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def batch(shape: tuple[int, ...], size: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, *shape, generator=generator), torch.arange(size) % 10


def gradients(head: heads.Head, h: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
    """Of the block's output and of every parameter of the head."""
    h = h.detach().requires_grad_()
    head.zero_grad()
    loss = head(h, y)
    assert loss.shape == ()
    assert loss.isfinite()
    loss.backward()
    assert all(p.grad is not None for p in head.parameters())
    return [h.grad, *(p.grad for p in head.parameters())]


def count(name: str, shape: tuple[int, ...], classes: int = 10) -> int:
    return models.count_parameters(heads.make(name, shape, classes))


def blocknet(head: str, groups: tuple[tuple[int, ...], ...] | None = None) -> BlockNet:
    chain = models.build("resnet20")
    return BlockNet(chain, groups or cut(chain.stages, "residual", lambda *_: 0), head)


def head_parameters(net: BlockNet) -> int:
    """Of all heads, and the classifier that is the last block's own."""
    return models.count_parameters(net.heads) + models.count_parameters(net.bodies[-1][-1])


# ------------------------------------------------------------------ all heads


@every_head
@every_shape
def test_the_loss_is_a_finite_scalar_with_finite_gradients(name, shape):
    head = heads.make(name, shape, 10)
    h, y = batch(shape)
    assert all(g.isfinite().all() for g in gradients(head, h, y))


@every_head
@every_shape
def test_logits_have_a_column_per_class_and_sim_has_none(name, shape):
    logits = heads.make(name, shape, 7).logits(batch(shape)[0])
    assert logits is None if name in SIMS else logits.shape == (6, 7)


@every_head
@every_shape
def test_the_prediction_part_of_the_loss_is_the_cross_entropy_of_the_logits(name, shape):
    head = heads.make(name, shape, 10)
    for p in head.parameters():
        torch.nn.init.normal_(p, std=0.1)
    h, y = batch(shape)
    if name in SIMS:
        return
    published = F.cross_entropy(head.logits(h), y)
    if name in COMPARING:
        branch = head.branch(head.pool(h) if name == "predsim-lean" else h)
        similarity = F.mse_loss(similarity_matrix(branch), similarity_matrix(F.one_hot(y, 10).float()))
        published = 0.01 * published + 0.99 * similarity
    torch.testing.assert_close(head(h, y), published)


@every_head
@every_shape
def test_dead_and_constant_samples_give_no_nan(name, shape):
    h, y = batch(shape)
    for row in ({0: 0.0}, {0: 0.0, 3: 0.0}, {1: 0.1, 2: -7.3}, dict.fromkeys(range(6), 0.0)):
        poor = h.clone()
        for index, value in row.items():
            poor[index] = value
        assert all(g.isfinite().all() for g in gradients(heads.make(name, shape, 10), poor, y))


@every_head
@every_shape
@pytest.mark.parametrize("bits", [1, 3])
def test_activations_of_few_bits_give_no_nan(name, shape, bits):
    h, y = batch(shape)
    h[2] = -1.0  # a sample that the quantizer clips to zero
    codes = quant.make("lsq", bits, "activation")(h).detach()
    assert codes[2].abs().max() == 0
    assert all(g.isfinite().all() for g in gradients(heads.make(name, shape, 10), codes, y))


@every_head
@every_shape
def test_no_gradient_is_lost_between_the_loss_and_the_block(name, shape):
    """A finite difference along the gradient, in float64."""
    head = heads.make(name, shape, 10).double()
    for p in head.parameters():
        torch.nn.init.normal_(p, std=0.1)
    h, y = batch(shape, seed=4)
    h = h.double()
    direction, *_ = gradients(head, h, y)
    direction = direction / direction.norm()
    step = 1e-6
    with torch.no_grad():
        rise = (head(h + step * direction, y) - head(h - step * direction, y)) / (2 * step)
    first, *_ = gradients(head, h, y)
    assert rise.item() == pytest.approx((first * direction).sum().item(), rel=1e-3)


@every_head
@every_shape
def test_a_head_can_learn_to_tell_two_constant_classes_apart(name, shape):
    """A head that classifies reaches zero errors on what a linear rule separates."""
    if name in SIMS:
        return
    torch.manual_seed(0)
    head = heads.make(name, shape, 2)
    h, _ = batch(shape, 32)
    y = torch.arange(32) % 2
    h[:, 0] += 3 * y.view(-1, *[1] * (h.ndim - 2)) - 1.5
    optimizer = torch.optim.Adam(head.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        head(h, y).backward()
        optimizer.step()
    assert (head.logits(h).argmax(1) == y).float().mean() > 0.9


@pytest.mark.parametrize("name", COMPARING)
@every_shape
def test_heads_that_compare_samples_refuse_a_batch_of_one_and_say_why(name, shape):
    head = heads.make(name, shape, 10)
    assert head.minimum_batch == 2
    with pytest.raises(InputError, match=r"a batch of 1, wanted at least 2 samples to compare.*gap"):
        head(*batch(shape, 1))


@pytest.mark.parametrize("name", [n for n in heads.CATALOGUE if n not in COMPARING])
@every_shape
def test_heads_that_predict_accept_a_batch_of_one(name, shape):
    head = heads.make(name, shape, 10).eval()
    assert head.minimum_batch == 1
    assert all(g.isfinite().all() for g in gradients(head, *batch(shape, 1)))


# ------------------------------------------------------------- sizes by hand


def test_gap_heads_of_resnet20_in_ten_blocks_have_3620_parameters():
    net = blocknet("gap")
    assert len(net) == 10
    # (C + 1) * 10 for C = 16 (4 blocks), 32 (3), 64 (2 and the classifier)
    assert head_parameters(net) == 4 * 170 + 3 * 330 + 2 * 650 + 650 == 3620


def test_lookahead_heads_of_resnet20_in_ten_blocks_have_506468_parameters():
    # 9 C 64 + 9 64 64 + norms 2 * 128 + classifier 650
    by_channels = {c: 9 * c * 64 + 36_864 + 256 + 650 for c in (16, 32, 64)}
    assert {c: count("lookahead", (c, 8, 8)) for c in by_channels} == by_channels
    expected = 4 * by_channels[16] + 3 * by_channels[32] + 2 * by_channels[64] + 650
    assert head_parameters(blocknet("lookahead")) == expected == 506_468


def test_lookahead_heads_of_resnet20_in_four_blocks_have_160040_parameters():
    groups = ((0, 1, 2), (3, 4), (5, 6), (7, 8, 9, 10))  # stem + 2, 2, 2, 3 residual blocks
    net = blocknet("lookahead", groups)
    assert head_parameters(net) == 46_986 + 2 * 56_202 + 650 == 160_040


def test_a_blocks_own_classifier_of_650_needs_no_head():
    net = blocknet("gap")
    assert models.count_parameters(net.heads[-1]) == 0
    assert models.count_parameters(net.bodies[-1][-1]) == 64 * 10 + 10


@pytest.mark.parametrize(
    ("shape", "features"),
    [
        ((16, 32, 32), 16 * 8 * 8),  # 16*16*16 = 4096 is more than 2048
        ((32, 16, 16), 32 * 8 * 8),
        ((64, 8, 8), 64 * 4 * 4),
        ((128, 4, 4), 128 * 4 * 4),
        ((8, 16, 16), 8 * 16 * 16),  # 2048 exactly: not pooled
        ((3, 5, 7), 3 * 5 * 7),
        ((512, 2, 2), 512 * 2 * 2),
        ((4096, 2, 2), 4096),  # one value per channel is the least
        ((4, 1, 1), 4),
        ((20,), 20),
        ((5000,), 5000),
    ],
    ids=str,
)
def test_pooled_pred_reads_the_largest_halved_map_of_at_most_2048_features(shape, features):
    assert count("pred-pooled", shape) == 10 * features + 10


@pytest.mark.parametrize("name", ["pred", "pred-pooled", "predsim", "predsim-pooled", "predsim-lean"])
@every_shape
def test_the_weights_of_pred_start_at_zero(name, shape):
    head = heads.make(name, shape, 10)
    linear = (head.pred if name in COMPARING else head).classify.linear
    assert not linear.weight.any()
    logits = head.logits(batch(shape)[0])
    assert torch.equal(logits, linear.bias.expand(6, 10))


def test_sim_is_a_convolution_without_bias_at_full_resolution():
    assert count("sim", (16, 32, 32)) == 9 * 16 * 16
    assert count("sim", (20,)) == 20 * 20


def test_predsim_is_pred_and_sim():
    for shape in SHAPES:
        assert count("predsim", shape) == count("pred", shape) + count("sim", shape)
        assert count("predsim-pooled", shape) == count("pred-pooled", shape) + count("sim-pooled", shape)


def test_lean_predsim_reads_4x4_maps_through_a_1x1_convolution():
    assert count("predsim-lean", (16, 32, 32)) == 16 * 16 + 10 * 16 * 4 * 4 + 10
    assert count("predsim-lean", (512, 2, 2)) == 512 * 512 + 10 * 2048 + 10


def test_the_width_of_a_lookahead_head_follows_the_colon():
    # 9 16 32 + 9 32 32 + 4 * 32 + 33 * 10
    assert count("lookahead:32", (16, 32, 32)) == 4608 + 9216 + 128 + 330
    assert count("lookahead:64", (16, 32, 32)) == count("lookahead", (16, 32, 32))
    assert models.count_parameters(heads.make("lookahead", (16, 8, 8), width=32)) == 4608 + 9216 + 458


def test_a_lookahead_head_of_flat_features_has_two_linear_layers():
    assert count("lookahead:32", (20,)) == 20 * 32 + 2 * 32 + 330


# -------------------------------------------------------------- similarity


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
@settings(deadline=None, max_examples=15)
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


@settings(deadline=None, max_examples=100)
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
    loss = SimilarityLoss(3)(with_dead, torch.tensor([*y, 2]))
    assert loss.item() == pytest.approx(np.mean(
        (similarity(with_dead.numpy()) - similarity(np.eye(3)[[*y, 2]])) ** 2
    ))  # fmt: skip


def test_perfect_features_have_no_loss():
    y = torch.tensor([0, 1, 2, 1, 0])
    loss = SimilarityLoss(3)(5 * F.one_hot(y, 3).float() + 2, y)
    assert loss.item() == pytest.approx(0, abs=1e-10)


def test_the_similarity_gradient_is_autograds_on_the_plain_formula():
    h, y = batch((8, 6, 6), 5)
    head = heads.make("sim", (8, 6, 6), 10).double()
    first, *others = gradients(head, h.double(), y)
    leaf, weight = h.double().requires_grad_(), head.branch[0].weight.detach().requires_grad_()
    rows = F.conv2d(leaf, weight, padding=1).flatten(2).std(dim=2)
    plain = torch.corrcoef(rows)
    F.mse_loss(plain, torch.corrcoef(F.one_hot(y, 10).double())).backward()
    torch.testing.assert_close(first, leaf.grad, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(others[0], weight.grad, rtol=1e-5, atol=1e-8)


def test_three_channels_or_a_single_row_are_flattened_instead_of_spread():
    for shape, features in (((3, 5, 7), 105), ((4, 1, 1), 4), ((4, 1, 5), 20), ((4, 2, 2), 4)):
        assert SimilarityBranch(shape)(batch(shape)[0]).shape == (6, features)


# ------------------------------------------------------------------- errors


def test_an_unknown_head_names_its_nearest_match():
    with pytest.raises(InputError, match=r"head: got 'predsin'.*did you mean 'predsim'\?"):
        heads.make("predsin", (8, 8, 8))


def test_only_some_heads_have_a_width():
    wanted = r"head gap: got width 3, wanted .* of pred, predsim, lookahead only"
    with pytest.raises(InputError, match=wanted):
        heads.make("gap:3", (8, 8, 8))


@pytest.mark.parametrize("name", ["lookahead:x", "lookahead:-1", "lookahead:1.5", "lookahead: "])
def test_a_width_that_is_no_number_is_refused_with_an_example(name):
    with pytest.raises(InputError, match=r"head width: got .*wanted a whole number; try lookahead:32"):
        heads.make(name, (8, 8, 8))


def test_a_width_of_zero_is_refused():
    with pytest.raises(InputError, match="head lookahead: got width 0, wanted a width of 1 or more"):
        heads.make("lookahead:0", (8, 8, 8))
