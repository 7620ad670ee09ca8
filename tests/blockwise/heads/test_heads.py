"""What all local heads promise, whatever the shape of the block's output."""

import pytest
import torch
from head_inputs import SHAPES, batch, gradients
from inner import inner
from torch.nn import functional as F

from blockwise import heads, quant
from blockwise.heads.sim import similarity_matrix
from devices.errors import InputError

SIMS = ("sim", "sim-pooled")
COMPARING = (*SIMS, "predsim", "predsim-pooled", "predsim-lean")
every_head = pytest.mark.parametrize("name", heads.CATALOGUE)
every_predicting = pytest.mark.parametrize("name", [n for n in heads.CATALOGUE if n not in SIMS])


@every_head
def test_the_loss_is_a_finite_scalar_with_finite_gradients(name):
    for shape in SHAPES:
        with inner(shape=shape):
            head = heads.make(name, shape, 10)
            h, y = batch(shape)
            assert all(g.isfinite().all() for g in gradients(head, h, y))


@every_head
def test_logits_have_a_column_per_class_and_sim_has_none(name):
    for shape in SHAPES:
        with inner(shape=shape):
            logits = heads.make(name, shape, 7).logits(batch(shape)[0])
            assert logits is None if name in SIMS else logits.shape == (6, 7)


@every_predicting
def test_the_prediction_part_of_the_loss_is_the_cross_entropy_of_the_logits(name):
    for shape in SHAPES:
        with inner(shape=shape):
            head = heads.make(name, shape, 10)
            for p in head.parameters():
                torch.nn.init.normal_(p, std=0.1)
            h, y = batch(shape)
            published = F.cross_entropy(head.logits(h), y)
            if name in COMPARING:
                branch = head.branch(head.pool(h) if name == "predsim-lean" else h)
                similarity = F.mse_loss(
                    similarity_matrix(branch), similarity_matrix(F.one_hot(y, 10).float())
                )
                published = 0.01 * published + 0.99 * similarity
            torch.testing.assert_close(head(h, y), published)


@every_head
def test_dead_and_constant_samples_give_no_nan(name):
    for shape in SHAPES:
        with inner(shape=shape):
            h, y = batch(shape)
            for row in ({0: 0.0}, {0: 0.0, 3: 0.0}, {1: 0.1, 2: -7.3}, dict.fromkeys(range(6), 0.0)):
                poor = h.clone()
                for index, value in row.items():
                    poor[index] = value
                assert all(g.isfinite().all() for g in gradients(heads.make(name, shape, 10), poor, y))


@every_head
@pytest.mark.parametrize("bits", [1, 3])
def test_activations_of_few_bits_give_no_nan(name, bits):
    for shape in SHAPES:
        with inner(shape=shape):
            h, y = batch(shape)
            h[2] = -1.0  # a sample that the quantizer clips to zero
            codes = quant.make("lsq", bits, "activation")(h).detach()
            assert codes[2].abs().max() == 0
            assert all(g.isfinite().all() for g in gradients(heads.make(name, shape, 10), codes, y))


@every_head
def test_no_gradient_is_lost_between_the_loss_and_the_block(name):
    """A finite difference along the gradient, in float64."""
    for shape in SHAPES:
        with inner(shape=shape):
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


@pytest.mark.slow
@every_predicting
def test_a_head_can_learn_to_tell_two_constant_classes_apart(name):
    """A head that classifies reaches zero errors on what a linear rule separates."""
    for shape in SHAPES:
        with inner(shape=shape):
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
def test_heads_that_compare_samples_refuse_a_batch_of_one_and_say_why(name):
    for shape in SHAPES:
        with inner(shape=shape):
            head = heads.make(name, shape, 10)
            assert head.minimum_batch == 2
            with pytest.raises(InputError, match=r"a batch of 1, wanted at least 2 samples to compare.*gap"):
                head(*batch(shape, 1))


@pytest.mark.parametrize("name", [n for n in heads.CATALOGUE if n not in COMPARING])
def test_heads_that_predict_accept_a_batch_of_one(name):
    for shape in SHAPES:
        with inner(shape=shape):
            head = heads.make(name, shape, 10).eval()
            assert head.minimum_batch == 1
            assert all(g.isfinite().all() for g in gradients(head, *batch(shape, 1)))


def test_an_unknown_head_names_its_nearest_match():
    with pytest.raises(InputError, match=r"head: got 'predsin'.*did you mean 'predsim'\?"):
        heads.make("predsin", (8, 8, 8))


def test_only_some_heads_have_a_width():
    wanted = r"head gap: got width 3, wanted .* of pred, predsim, lookahead, lookahead-shared only"
    with pytest.raises(InputError, match=wanted):
        heads.make("gap:3", (8, 8, 8))


@pytest.mark.parametrize("name", ["lookahead:x", "lookahead:-1", "lookahead:1.5", "lookahead: "])
def test_a_width_that_is_no_number_is_refused_with_an_example(name):
    with pytest.raises(InputError, match=r"head width: got .*wanted a whole number; try lookahead:32"):
        heads.make(name, (8, 8, 8))


def test_a_width_of_zero_is_refused():
    with pytest.raises(InputError, match="head lookahead: got width 0, wanted a width of 1 or more"):
        heads.make("lookahead:0", (8, 8, 8))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lookahead:32x", "head depth: got '', wanted a whole number; try lookahead:32x3"),
        ("lookahead:32x2x", "head side: got '', wanted a whole number; try lookahead:32x3x16"),
        ("lookahead:32x2x8x2", "head side: got '8x2', wanted a whole number"),
        (
            "lookahead:32x2x0",
            "head lookahead: got side 0, wanted a side of 1 or more, of lookahead, lo.*only",
        ),
        (
            "lookahead:32x0",
            "head lookahead: got depth 0, wanted a depth of 1 or more, of lookahead, look.*only",
        ),
        ("lookahead:32x33", "head depth: got 33, wanted at most 32"),
        (
            "pred:64x2",
            "head pred: got depth 2, wanted a depth of 1 or more, of lookahead, look.*only",
        ),
    ],
)
def test_a_depth_that_is_none_is_refused(name, message):
    with pytest.raises(InputError, match=message):
        heads.make(name, (8, 8, 8))
