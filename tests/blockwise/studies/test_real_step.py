"""Every regime's peak by two independent routes, equal to the byte: schedule and counted storages."""

import pytest
from tiers import quick, shown

from blockwise import models
from blockwise.studies.real_step import compare
from devices.program.regimes import REGIMES

pytestmark = pytest.mark.slow

EAGER = [name for name, regime in REGIMES.items() if not regime.perturbs]
"""PyTorch's accounting has no row for directions that are drawn again: zeroth-order regimes refuse it."""
WITHIN_UNITS = ("bp-best", "bp-micro")
"""Their best cuts may lie within a unit of a plain chain, where PyTorch has no module to call."""


@pytest.mark.parametrize("batch", shown([1, 32], 1))
@pytest.mark.parametrize("regime", EAGER)
def test_resnet20_as_published_in_residual_blocks(regime, batch):
    found = compare(regime, models.build("resnet20", width=16), "residual", "gap", batch)
    assert found.scheduled == found.counted


@pytest.mark.parametrize("batch", shown([2, 7], 7))
@pytest.mark.parametrize(
    ("name", "width", "norm", "cut", "head", "optimizer"),
    [
        ("resnet20", 4, "group", "stages", "gap", "adam"),
        pytest.param("resnet32", 4, "batch", "stages", "lookahead:4", "sgd", marks=pytest.mark.long),
        ("vgg8b", 4, "batch", "layers", "pred", "sgd-momentum"),
        ("cnn", 4, "none", "layers", "gap", "sgd-momentum"),
        ("cnn", 4, "frozen", "layers", "gap", "sgd-momentum"),
        ("cnn", 8, "batch-recompute", "layers", "lookahead:8", "adam"),
        ("mlp", 16, "batch", "layers", "gap", "sgd-momentum"),
    ],
)
def test_other_networks_norms_cuts_heads_and_optimizers(name, width, norm, cut, head, optimizer, batch):
    regimes = [r for r in EAGER if name.startswith("resnet") or r not in WITHIN_UNITS]
    chains = {regime: models.build(name, width=width, norm=norm) for regime in regimes}
    found = [compare(regime, chain, cut, head, batch, optimizer) for regime, chain in chains.items()]
    assert [c for c in found if not c.equal] == []


@pytest.mark.parametrize("batch", shown([2, 7], 7))
@pytest.mark.parametrize("head", quick(["pred", "sim", "predsim"], "predsim"))
def test_the_published_heads_with_dropout_leaky_relus_and_biases(head, batch):
    regimes = [r for r in EAGER if r not in WITHIN_UNITS]
    style = models.Style("leaky-relu", 0.2, True, "pytorch")
    chains = {regime: models.build("vgg8b", width=4, style=style) for regime in regimes}
    found = [compare(regime, chain, "each", head, batch, "adam") for regime, chain in chains.items()]
    assert [c for c in found if not c.equal] == []


@pytest.mark.parametrize("head", ["sim-pooled", "predsim-pooled", "predsim-lean"])
def test_similarity_losses_of_what_blocks_give(head):
    chains = {regime: models.build("cnn", width=4) for regime in ("local", "local-paged", "local-resident")}
    found = [compare(regime, chain, "layers", head, 7) for regime, chain in chains.items()]
    assert [c for c in found if not c.equal] == []


def test_micro_batches_count_the_same_in_steps_of_other_sizes():
    found = compare("bp-micro", models.build("resnet20", width=4), "stages", "gap", 5)
    assert found.scheduled == found.counted
    assert found.counted < compare("bp", models.build("resnet20", width=4), "stages", "gap", 5).counted
