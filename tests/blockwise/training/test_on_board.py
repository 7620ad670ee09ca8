"""Float regimes executed on bytes, at planned addresses and with dead bytes poisoned, against the simulation.

The whole product of the settings is the work of benchmarks/executor.py; here every pair of settings occurs.
"""

from itertools import combinations, product

import pytest
import torch
from in_double import InDouble, LossesInDouble
from one_step import OneStep
from tiers import shown
from torch import nn

from blockwise import models
from blockwise.models import Style
from devices.program.distillation import Distillation
from devices.program.regimes import REGIMES, find

pytestmark = pytest.mark.slow

METHODS = ("fp32", "lsq", "dorefa", "pact", "twn", "lq-net")
OPTIMIZERS = ("sgd", "sgd-momentum", "adam")
NORMS = ("batch", "batch-recompute", "group", "frozen", "none")
MODELS = ("resnet8", "plain4", "cnn")
TOLERANCE = 1e-5
"""Of the length of the update."""
MOST_FLIPS = 1e-3
"""Of all codes: a value may lie within a few units in the last place of a threshold."""

CHOICES = {
    "method": METHODS, "optimizer": OPTIMIZERS, "norm": NORMS, "fused": (True, False), "model": MODELS,
}  # fmt: skip


def all_pairs() -> list[dict[str, object]]:
    """Settings in which every two choices occur together: greedily, in a fixed order."""
    names = list(CHOICES)
    missing = {
        ((a, x), (b, y)) for a, b in combinations(names, 2) for x, y in product(CHOICES[a], CHOICES[b])
    }
    rows = [dict(zip(names, values, strict=True)) for values in product(*CHOICES.values())]
    found = []
    while missing:
        row = max(rows, key=lambda r: len(missing.intersection(combinations(r.items(), 2))))
        missing -= set(combinations(row.items(), 2))
        found.append(row)
    return found


PAIRS = all_pairs()
IN_FLOAT = ("bp", "local-resident", "zo")
SHOWN = [
    *product(REGIMES, ["lsq"]),
    *product(IN_FLOAT, ["fp32"]),
    ("local", "lq-net"),
    ("bp-checkpoint", "lq-net"),
]


@pytest.mark.parametrize(("regime", "method"), shown(product(REGIMES, METHODS), *SHOWN, spread=True))
def test_a_step_on_bytes_is_that_of_the_simulation(regime, method):
    for row in PAIRS:
        if row["method"] != method or (find(regime).fixed_update and not row["fused"]):
            continue
        step = OneStep(regime, **row)
        assert step.run() < TOLERANCE, (row, step.worst())
        assert (step.codes > 0) == (method != "fp32")
        assert step.flips <= MOST_FLIPS * step.codes


@pytest.mark.parametrize(("method", "regime"), list(product(("dsq", "stlq"), ("bp", "local-resident", "zo"))))
def test_values_of_one_quantizer_go_each_at_its_own_rate(method, regime):
    """DSQ's ends learn at a hundredth of the weights' rate by shares of themselves, alpha at the whole."""
    for optimizer in ("sgd",) if find(regime).perturbs else OPTIMIZERS:
        step = OneStep(regime, method=method, model="resnet8", optimizer=optimizer)
        assert step.run() < TOLERANCE, (optimizer, step.worst())
        assert step.codes > 0


@pytest.mark.parametrize("method", ["centroids", "pq", "ttq"])
def test_values_that_hang_on_the_whole_layer_go_when_all_of_its_gradient_is_there(method):
    """A mean over members, or a largest weight, is another one once some filters have moved."""
    for regime, width in product(("bp-fused", "local"), (4, 6)):
        step = OneStep(regime, method=method, width=width, norm="none", optimizer="sgd", before=2)
        assert step.run() < TOLERANCE, (regime, width, step.worst())


@pytest.mark.parametrize(
    ("method", "norm"), [("fp32", "batch"), ("lsq", "batch-recompute"), ("lsq", "group")]
)
def test_so_it_is_where_the_last_micro_batch_has_fewer_images(method, norm):
    """Batch norms count those that are there; each micro-batch weighs as much as it has images."""
    step = OneStep("bp-micro", method=method, norm=norm, batch=7, micro_batch=3, model="cnn")
    assert step.run() < TOLERANCE, step.worst()
    (loop,) = step.plan.loops
    assert (loop.passes, loop.images) == (3, 3)
    assert {tensor.shape[0] for tensor in loop.left_over.values() if tensor.name.startswith("batch")} == {1}


def vgg_with_norms_of(eps: float) -> nn.Sequential:
    torch.manual_seed(0)
    units = models.build("vgg8b", (1, 8, 8), 3, 4).units
    for module in units.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.eps = eps
    return nn.Sequential(*units.values())


def test_where_two_images_are_left_over_a_norm_of_features_magnifies_the_rounding_of_both():
    """1/std of two values that lie near each other: PyTorch's own float32 is then as far from float64.

    Which of both is farther hangs on the order in which a processor's kernels add.
    """
    sizes = {"method": "fp32", "batch": 11, "micro_batch": 3}
    step = InDouble("bp-micro", "vgg8b", **sizes)
    apart = step.run()
    simulated, board = step.errors()
    assert TOLERANCE < apart < simulated + board + TOLERANCE / 10
    assert simulated > TOLERANCE / 4
    assert board < 3 * simulated
    for settings in ({**sizes, "batch": 9}, {**sizes, "norm": "group"}):  # nothing is left over; no batch
        assert OneStep("bp-micro", "vgg8b", **settings).run() < TOLERANCE
    damped = InDouble("bp-micro", vgg_with_norms_of(0.1), **sizes)
    assert damped.run() < TOLERANCE
    assert max(damped.errors()) < TOLERANCE


def test_where_losses_hardly_differ_the_last_bit_of_one_is_more_of_a_zeroth_order_step():
    """Either side has the difference that float64 has, but for last bits; where it is large they agree."""
    step = LossesInDouble("zo-hybrid", "resnet8", method="lsq", optimizer="sgd", norm="none", fused=False)
    apart = step.run()
    assert TOLERANCE < apart < step.told_apart()
    assert max(step.last_bits()) < 2
    far = LossesInDouble("zo-hybrid", "resnet8", method="fp32", optimizer="sgd", norm="none", fused=False)
    assert far.run() < TOLERANCE
    assert max(far.last_bits()) < 4


@pytest.mark.parametrize(
    "regime",
    shown(["bp", "bp-micro", "local", "local-paged", "local-resident"], "bp-micro", "local-resident"),
)
def test_so_it_is_where_convolutions_quantize_values_of_both_signs(regime):
    """Behind leaky ReLUs; without max pools, whose largest of equal sums is found by their rounding."""
    for method in ("lsq", "dorefa", "pact", "lq-net"):
        step = OneStep(regime, method=method, model="resnet8", style=Style("leaky-relu"))
        assert step.run() < TOLERANCE, (method, step.worst())


HEADS = [*product(("local", "local-paged", "local-resident"), ("pred", "sim", "predsim", "predsim-pooled"))]


@pytest.mark.parametrize(
    ("regime", "head"), shown(HEADS, *(x for x in HEADS if x[0] == "local" or x[1] == "predsim"), spread=True)
)
def test_so_it_is_under_the_published_heads(regime, head):
    """The last block is a layer alone, which learns at the weight of its loss, or more."""
    for method, blocks in (("fp32", "2"), ("lsq", "each")):
        step = OneStep(regime, method=method, model="vgg8b", head=head, blocks=blocks, in_shape=(1, 16, 16))
        assert step.run() < TOLERANCE, (method, step.worst())
        alone = head == "predsim" and blocks == "each"
        assert step.net.loss_weight(len(step.net) - 1) == pytest.approx(0.01 if alone else 1)


AHEAD = ("lookahead:4x1", "lookahead:4x3", "lookahead:4x2x4", "lookahead-shared:4")
LOCAL = ("local", "local-paged", "local-resident")
IN_TURN = [
    (head, LOCAL[i], ("fp32", "lsq", "lq-net")[(i + j) % 3]) for i in range(3) for j, head in enumerate(AHEAD)
]
"""Every two of their values occur together."""


@pytest.mark.parametrize(
    ("head", "regime", "method"),
    shown(product(AHEAD, LOCAL, ("fp32", "lsq", "lq-net")), *IN_TURN, spread=True),
)
def test_so_it_is_under_lookahead_heads_of_any_depth_and_by_weights_of_the_next_block(head, regime, method):
    step = OneStep(regime, method=method, model="resnet8", head=head)
    assert step.run() < TOLERANCE, step.worst()


@pytest.mark.parametrize("regime", ["local", "local-paged"])
def test_so_it_is_where_the_last_block_teaches_the_others(regime):
    """By statistics that are not the batch's, by levels of the step before, at rest."""
    told = Distillation(3.0, 0.3)
    for settings in (
        {"method": "lsq", "model": "resnet8", "head": "lookahead-shared:4"},
        {"method": "lq-net", "model": "resnet8", "norm": "group", "batch": 1},
        {"method": "fp32", "model": "cnn", "fused": False},
    ):
        step = OneStep(regime, distillation=told, **settings)
        assert step.run() < TOLERANCE, (settings, step.worst())


def test_so_it_is_where_a_block_at_rest_reads_codes_that_were_made_in_training():
    """By the levels of that pass, which stand behind those of the next."""
    step = OneStep("local", method="lq-net", model="resnet8", blocks="each", train="stage1*,stage3*")
    assert [block.name for block in step.network.blocks if block.learns] == ["stage1_1", "stage3_1"]
    assert step.run() < TOLERANCE, step.worst()


@pytest.mark.parametrize(
    "regime",
    shown(
        ["bp", "bp-best", "bp-micro", "local", "local-paged", "local-resident"],
        "bp-best",
        "bp-micro",
        "local-resident",
    ),
)
def test_so_it_is_where_skip_paths_hold_floats(regime):
    for method in ("lsq", "dorefa", "lq-net"):
        step = OneStep(regime, method=method, model="resnet8", residual="float", optimizer="adam")
        assert step.run() < TOLERANCE, (method, step.worst())
