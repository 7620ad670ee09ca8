"""The setup: which head is chosen, and that plan and network agree."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from tiers import quick
from torch import nn

from blockwise.experiment.choice import HEAD_CANDIDATES
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.settings import (
    BoardSettings,
    NetworkSettings,
    OutputSettings,
    QuantizationSettings,
    TrainingSettings,
)
from blockwise.models import CATALOGUE, IMAGE_RANK, count_parameters
from blockwise.nets.anatomy import Anatomy
from blockwise.training import DEFAULT_REGIMES
from devices.errors import InputError
from devices.program.regimes import LEANEST, Step

OF_IMAGES = [name for name, family in CATALOGUE.items() if IMAGE_RANK in family.ranks]


def setup(
    board: str = "stm32", batch: int = 16, regimes: tuple[str, ...] = DEFAULT_REGIMES, **network: object
) -> Prepared:
    settings = NetworkSettings(**({"model": "cnn", "width": 4} | network))
    training = TrainingSettings(regimes, batch_size=batch)
    return prepare(Config(BoardSettings(board), settings, training=training))


def test_what_is_made_of_a_setup_plans_no_step_twice():
    prepared = setup(regimes=("bp",), head="gap", blocks="1")
    again = replace(prepared, taken=prepared.chosen)
    assert again.plan("bp").schedule is prepared.plan("bp").schedule


@pytest.mark.slow
def test_the_head_is_the_widest_that_fits_and_every_wider_one_does_not():
    chosen = setup(model="resnet20", width=8)
    wider = HEAD_CANDIDATES[: HEAD_CANDIDATES.index(chosen.head)]
    assert chosen.plan(LEANEST).fits
    assert wider
    assert not any(setup(model="resnet20", width=8, head=head).plan(LEANEST).fits for head in wider)


@pytest.mark.parametrize(
    "regimes", quick([DEFAULT_REGIMES, ("bp",), ("bp", "local"), ("local-paged", "local")], ("bp", "local"))
)
def test_where_no_head_fits_the_one_with_the_lowest_peak_is_taken(regimes):
    chosen = setup("bluepill", regimes=regimes)
    local = [r for r in regimes if r.startswith("local")]
    deciding = [LEANEST] if LEANEST in local or not local else local
    peaks = {
        head: min(other.plan(regime).peak_bytes for regime in deciding)
        for head in HEAD_CANDIDATES
        for other in [setup("bluepill", head=head, regimes=regimes)]
    }
    assert chosen.head == min(peaks, key=peaks.__getitem__) == "gap"
    assert not any(chosen.plan(regime).fits for regime in deciding)


@pytest.mark.slow
def test_without_local_resident_a_local_regime_that_is_asked_for_decides():
    board, network = "stm32", {"model": "resnet20", "width": 8}
    by_local, by_default = (setup(board, regimes=r, **network) for r in (("bp", "local"), DEFAULT_REGIMES))
    assert by_default.plan(LEANEST).fits and not by_default.plan("local").fits
    assert not by_local.plan("local").fits and by_local.head == "gap"


def test_a_global_integer_regime_leaves_the_heads_of_float_ones_alone():
    network = {"model": "plain4", "width": 8}
    assert setup(regimes=("niti", "local"), **network).head == setup(regimes=("local",), **network).head
    assert setup(regimes=("niti-local", "local"), **network).head == "pred-pooled"


@pytest.mark.parametrize("model", quick(OF_IMAGES, "resnet20", "cnn", "mlp", "vgg8b"))
@pytest.mark.parametrize("head", ["gap", "lookahead:8", "predsim"])
def test_the_plan_counts_the_parameters_of_the_network_that_is_trained(model, head):
    chosen = setup(model=model, head=head, blocks="stages")
    net = chosen.build()
    assert [block.name for block in chosen.network.blocks] == list(net.names)
    for block, body, local in zip(chosen.network.blocks, net.bodies, net.heads, strict=True):
        planned = sum(layer.weights + layer.biases for layer in block.layers)
        steps = sum(p.numel() for name, p in body.named_parameters() if "quantizer" in name or "step" in name)
        assert planned == count_parameters(body) - steps
        assert sum(layer.weights + layer.biases for layer in block.head) == count_parameters(local)


def test_units_traced_once_serve_every_head():
    chain = setup().chain()
    first = Anatomy(chain, "gap")
    second = first.with_head("lookahead:8")
    fresh = Anatomy(chain, "lookahead:8")
    groups = second.cut("2", Step())
    assert second.units is first.units
    assert groups == fresh.cut("2", Step())
    assert second.network(groups) == fresh.network(groups)
    assert first.head == "gap"
    assert first.network(groups) == Anatomy(chain, "gap").network(groups)


def test_two_builds_of_a_seed_are_the_same_network():
    chosen = setup()
    one, two = chosen.build().state_dict(), chosen.build().state_dict()
    assert all(one[name].equal(two[name]) for name in one)


def test_a_single_image_is_enough_where_nothing_compares_images():
    assert setup(batch=1, head="gap", model="cnn").plan("local", 1).peak_bytes > 0


@pytest.mark.parametrize(("model", "head"), [("cnn", "sim"), ("cnn", "predsim"), ("mlp", "gap")])
def test_a_single_image_is_refused_where_images_are_compared(model, head):
    with pytest.raises(InputError, match="at least 2"):
        setup(batch=1, head=head, model=model)


def test_float_networks_are_planned_at_32_bits():
    config = Config(network=NetworkSettings("cnn", 4), quantization=QuantizationSettings("fp32"))
    bits = prepare(config).step("bp").bits
    assert (bits.weight, bits.activation) == (32, 32)


def test_an_integer_regime_without_local_heads_is_not_refused_for_one_that_it_does_not_use():
    found = setup(model="plain4", regimes=("bp", "niti"))
    assert found.head.startswith("lookahead")  # it has a norm, which has no integer form
    assert len(found.build("niti")) == len(found.cut)


@pytest.mark.parametrize("regime", ["bp", "bp-best", "local"])
def test_a_batch_is_refused_when_what_its_layers_put_out_exceeds_the_memory(regime, monkeypatch):
    config = Config(
        network=NetworkSettings("cnn", 4, "layers", "gap"), output=OutputSettings(quiet=True),
        training=TrainingSettings((regime,), batch_size=1368),
    )  # fmt: skip
    outputs = []
    chain = prepare(config).chain()
    for module in chain.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(lambda module, x, y: outputs.append(y.numel()))
    chain(torch.zeros(1368, 1, 8, 8))
    needed = 4 * (max(outputs) if regime == "local" else sum(outputs))
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=needed))
    prepare(config)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=needed - 1))
    with pytest.raises(InputError, match="--batch-size: got 1,368 images at a time"):
        prepare(config)
    prepare(replace(config, output=OutputSettings(quiet=True, dry_run=True)))
