"""Regimes that are said to end with the same bits, trained each by itself: every method, every cut."""

import copy
from dataclasses import replace
from functools import cache

import pytest
import torch
from tiers import shown, tiered

from blockwise import quant
from blockwise.data import Dataset, load
from blockwise.models.parts import pooled_classifier
from blockwise.models.resnet import resnet
from blockwise.nets import compiling
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.nets.chain import Chain, Unit
from blockwise.training import REGIMES, Run, TrainOptions
from devices.program.regimes import Step, find

OPTIONS = TrainOptions(
    epochs=1, batch_size=8, optimizer="sgd-momentum", learning_rate=0.1, fused=False, seed=3, digest=True
)
TWINS = {"bp": ("bp-checkpoint", "bp-fused", "bp-best"), "local": ("local-paged",)}


@cache
def images() -> Dataset:
    """Two steps of training, and nothing to choose an epoch by."""
    full = load("digits", seed=0)
    few, none = torch.arange(16), torch.arange(0)
    return replace(
        full, train=full.train.select(few), validation=full.validation.select(none),
        test=full.test.select(few[:8]),
    )  # fmt: skip


@cache
def residual_network(method: str, blocks: str, *, short: bool = False) -> BlockNet:
    """ResNet-14, the least in which residual blocks of one shape follow each other."""
    torch.manual_seed(0)
    chain = resnet(14, (1, 8, 8), 10, 4)
    if short:
        chain = with_each_form_once(chain)
    groups = Anatomy(chain, "gap").cut(blocks, Step())
    quant.quantize(chain, method)
    return BlockNet(chain, groups, "gap")


def with_each_form_once(chain: Chain) -> Chain:
    """A first stage of two blocks and a second of one behind a shortcut: half as much to trace."""
    kept = ("stem", "stage1_1", "stage1_2", "stage2_1")
    units = [Unit(name, chain.units[name], chain.stages[chain.unit_names.index(name)]) for name in kept]
    classifier = Unit("classifier", pooled_classifier(2 * chain.width, chain.num_classes), 1)
    return Chain("short", [*units, classifier], chain.in_shape, chain.num_classes, chain.width)


def digest(
    method: str, blocks: str, regime: str, *, compile: bool = False, short: bool = False
) -> str | None:
    """Of the weights after a training of its own, in the update order of the regime."""
    options = replace(OPTIONS, fused=regime not in ("bp", "local"), compile=compile)
    net = copy.deepcopy(residual_network(method, blocks, short=short))
    return Run(net, images(), REGIMES[regime], options).train()[0].digest


@pytest.mark.parametrize("blocks", shown(["residual", "stages"], "residual"))
@pytest.mark.parametrize(
    "method", tiered(quant.METHODS, ("lsq", "twn"), ("fp32", "bnn", "quant-noise", "centroids"))
)
@pytest.mark.parametrize("regime", TWINS)
def test_every_regime_that_is_said_to_ends_with_the_bits_of_its_twin(regime, method, blocks):
    found = {name: digest(method, blocks, name) for name in (regime, *TWINS[regime])}
    assert len(set(found.values())) == 1, found


@pytest.mark.slow
@pytest.mark.parametrize("blocks", shown(["residual", "stages"], "stages"))
@pytest.mark.parametrize("method", shown(quant.METHODS, "dorefa"))
def test_every_regime_that_is_said_to_does_so_compiled_too(method, blocks, monkeypatch):
    """Traced and differentiated as for --compile, without the minutes that its C++ compiler takes.

    bp-best is left out: in simulation it is bp-fused under another name. All three stages are compiled in
    float, of a trained step size and of ternary weights; of other methods each form of a block.
    """
    short = method not in ("fp32", "lsq", "twn")
    monkeypatch.setattr(compiling, "_compile", lambda module: torch.compile(module, backend="aot_eager"))
    for regime, twins in TWINS.items():
        claim = [name for name in twins if find(name).same_as(compiled=True) == regime]
        said = [name for name in claim if name != "bp-best"]
        found = {name: digest(method, blocks, name, compile=True, short=short) for name in (regime, *said)}
        assert said and len(set(found.values())) == 1, found
