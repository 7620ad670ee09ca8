"""Where quantizers and frozen norms start: enough images, whatever the batch; data of any size."""

import math
from dataclasses import replace

import pytest
import torch

from blockwise import models, quant
from blockwise.data import Dataset, batches, load
from blockwise.layers.norms import ConstantNorm
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.quant.methods.lsq import LSQ
from blockwise.training import REGIMES, Run, TrainOptions
from blockwise.training.start import IMAGES, first_images
from blockwise.training.updater import Updater
from devices.program.regimes import Step


@pytest.fixture(scope="module")
def digits() -> Dataset:
    full = load("digits", seed=0)
    few, none = torch.arange(48), torch.arange(0)
    return replace(
        full, train=full.train.select(few), validation=full.validation.select(none),
        test=full.test.select(few),
    )  # fmt: skip


def mlp(method: str) -> BlockNet:
    torch.manual_seed(0)
    chain = models.build("mlp", (1, 8, 8), 10, 16, "frozen")
    groups = Anatomy(chain, "gap").cut("layers", Step())
    quant.quantize(chain, method)
    return BlockNet(chain, groups, "gap")


def run(digits: Dataset, batch_size: int, method: str = "lsq", regime: str = "bp") -> Run:
    options = TrainOptions(
        epochs=1, batch_size=batch_size, optimizer="sgd-momentum", learning_rate=0.01, fused=True, seed=0
    )  # fmt: skip
    return Run(mlp(method), digits, REGIMES[regime], options)


def constants(net: torch.nn.Module) -> list[torch.Tensor]:
    norms = [t for m in net.modules() if isinstance(m, ConstantNorm) for t in (m.scale, m.shift)]
    return norms + [m.step.detach() for m in net.modules() if isinstance(m, LSQ)]


@pytest.mark.parametrize(
    ("sizes", "taken"), [([1] * 40, 16), ([3] * 9, 18), ([16, 16], 16), ([64], 64), ([2], 2)]
)
def test_the_first_batches_are_put_together_until_they_hold_enough_images(sizes, taken):
    x = torch.randn(sum(sizes), 2)
    assert torch.equal(first_images(x.split(sizes)), x[:taken])


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_a_small_batch_starts_where_the_same_images_at_once_would(digits, batch_size):
    started = run(digits, batch_size)
    loader = batches(
        digits.train, batch_size, normalize=digits.normalize, seed=0, epoch=0, shuffle=True, drop_last=True
    )
    x = torch.cat([x for x, _ in loader])[: math.ceil(IMAGES / batch_size) * batch_size]
    expected = mlp("lsq")
    with torch.no_grad():
        expected(x)
    started._prepare(started.phases[0], None)
    for a, b in zip(constants(started.net), constants(expected), strict=True):
        assert torch.equal(a, b)


def test_frozen_norms_at_one_image_a_step_amplify_nothing_and_training_stays_finite(digits):
    trained = run(digits, 1, "fp32")
    outcome, _ = trained.train()
    assert all(0 < scale.max() < 20 for scale in constants(trained.net)[::2])
    assert outcome.history[-1].train_loss < 2 * math.log(10)


@pytest.mark.parametrize("size", [1e-10, 1e-6, 1.0])
@pytest.mark.parametrize(
    ("name", "role"),
    [
        (name, role)
        for name in ("lsq", "lsq-plus", "dsq", "qil", "stlq")
        for role in quant.ROLES
        if quant.method(name).quantizer(role) is not None
    ],
)
def test_levels_start_at_the_size_of_the_data_and_learn_on_however_small_that_is(name, role, size):
    unit, g = (torch.randn(64, 8, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    found = []
    for scale in (1.0, size):
        made = quant.make(name, 3, role, (64, 8))
        (made(unit * scale) * g).sum().backward()
        sizes = [p for key, p in made.named_parameters() if made.rules.get(key) and made.rules[key].size]
        started = [p.detach().clone() / scale for p in sizes if p is not getattr(made, "gamma", None)]
        rules = {p: quant.ParameterRule(size=True) for p in sizes}
        updater = Updater(sizes, "sgd", fused=False, rules=quant.ParameterRules(rules))
        updater.set_learning_rate(1.0)
        before = [p.item() for p in sizes]
        updater.finish_step()
        assert all(abs(p.item() / b - 1) > 1e-6 for p, b in zip(sizes, before, strict=True))
        found.append(torch.stack(started))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=0)
