"""Zeroth order on integers: by hand, with every direction taken back exactly, and with recorded bits."""

from dataclasses import replace

import pytest
import torch

from blockwise import models
from blockwise.integer import directions as drawn
from blockwise.integer import zeroth_order as integers
from blockwise.integer.arithmetics import arithmetic_of
from blockwise.integer.layers import weights_of
from blockwise.integer.net import IntegerNet
from blockwise.integer.xorshift import Xorshift32
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.training import INTEGER_REGIMES, Run, TrainOptions
from blockwise.training.digest import digest
from blockwise.training.integer_zeroth_order import IntegerDirectionUpdater
from blockwise.training.numerics import IntegerNumerics
from blockwise.training.options import Perturbation, Silent
from devices.program.regimes import Step

OPTIONS = TrainOptions(2, 16, "sgd", 0.1, True, seed=3, digest=True)


def build(regime: str = "niti-zo") -> IntegerNet:
    torch.manual_seed(0)
    chain = models.build("plain4", (1, 8, 8), 10, 4, "none")
    groups = Anatomy(chain, "gap").cut("layers", Step())
    return IntegerNet(BlockNet(chain, groups, "gap"), arithmetic_of(regime), seed=1)


def updater_of(net: IntegerNet, regime: str, told: Perturbation) -> IntegerDirectionUpdater:
    found = IntegerNumerics().updater(net, replace(OPTIONS, perturbation=told), regime)
    assert isinstance(found, IntegerDirectionUpdater)
    return found


def test_weights_go_forth_and_back_and_step_as_by_hand():
    weights = torch.tensor([127, -127, 100, 0, -3], dtype=torch.int8)
    z = torch.tensor([15, -15, 7, -8, 1], dtype=torch.int8)
    plus = integers.forth(weights, z, 15)  # first within +-(127 - 15)
    assert plus.tolist() == [127, -127, 107, -8, -2]
    minus = integers.back(plus, z)
    assert minus.tolist() == [97, -97, 93, 8, -4]
    assert integers.restored(minus, z).tolist() == [112, -112, 100, 0, -3]
    # shifted by 4 - 1 bits, pseudo-stochastically (h = 1): 15 = 1 rest 7, 7 >> 1 = 3 > (7 & 1) << 1 = 2: up;
    # 7 the same from 0; 8 = 1 rest 0; 1: 0 > 2 is false
    assert integers.step_of(z, 1000, 15, 1).tolist() == [2, -2, 1, -1, 0]
    assert integers.step_of(z, -1, 15, 1).tolist() == [-2, 2, -1, 1, 0]
    assert integers.step_of(z, 0, 15, 1).tolist() == [0] * 5
    assert integers.step_of(z, 1, 15, 4).tolist() == z.tolist()
    steps = [integers.step_of(z, d, 15, 1) for d in (5, 5, -5)]
    restored = integers.restored(minus, z)
    assert integers.updated(restored, steps, 15).tolist() == [110, -110, 99, 1, -3]
    assert integers.updated(restored, [-s for s in steps[:1]], 15).tolist() == [112, -112, 101, -1, -3]


@pytest.mark.parametrize("largest", [1, 15, 63])
def test_every_weight_comes_back_from_every_direction(largest):
    most = 127 - largest
    weights, along = (torch.arange(-n, n + 1, dtype=torch.int8) for n in (most, largest))
    w, z = torch.meshgrid(weights, along, indexing="ij")
    plus = integers.forth(w, z, largest)
    assert torch.equal(plus.int(), w.int() + z.int()) and int(plus.min()) >= -127
    minus = integers.back(plus, z)
    assert torch.equal(minus.int(), w.int() - z.int())
    assert torch.equal(integers.restored(minus, z), w)


def test_a_step_goes_down_the_side_of_the_smaller_loss():
    net, told = build().train(), Perturbation(range=7, mu=2)
    updater = updater_of(net, "niti-zo", told)
    x = torch.randint(256, (16, 1, 8, 8)).to(torch.uint8)
    y = torch.arange(16) % 10
    before = [integers.within(w.clone(), 7) for w in weights_of(net.bodies)]
    shapes = [tuple(w.shape) for w in before]
    rngs = [drawn.generator(3, number, 0) for number in range(len(before))]
    z = [drawn.whole_numbers(r, w.numel(), 7).view(w.shape) for r, w in zip(rngs, before, strict=True)]
    sums = []
    for sign in (1, -1):
        for layer, w, along in zip(weights_of(net.bodies), before, z, strict=True):
            layer.copy_(w + sign * along)
        alone = zip(x.split(1), y.split(1), strict=True)  # each image is a batch of one
        sums.append(
            sum(int(net.head(len(net) - 1).score(net.run(a, 0, len(net)), b).total) for a, b in alone)
        )
    for layer, w in zip(weights_of(net.bodies), before, strict=True):
        layer.copy_(w)
    (phase,) = INTEGER_REGIMES["niti-zo"].phases(net)
    updater.directions.mu = 2
    loss = INTEGER_REGIMES["niti-zo"].step(net, phase, x, y)
    assert [tuple(w.shape) for w in weights_of(net.bodies)] == shapes
    assert all(torch.equal(a, b) for a, b in zip(weights_of(net.bodies), before, strict=True))
    assert int(loss) == sum(sums) // 2 and updater.directions.differences == [sums[0] - sums[1]]
    updater.finish_step()
    sign = (sums[0] > sums[1]) - (sums[0] < sums[1])
    assert sign
    for after, w, along in zip(weights_of(net.bodies), before, z, strict=True):
        wanted = integers.updated(w, [integers.step_of(along, sign, 7, 2)], 7)
        assert torch.equal(after, wanted) and not torch.equal(after, w)


class Interrupting(Silent):
    def epoch(self, regime, epoch):
        raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize("regime", ["niti-zo", "niti-zo-hybrid"])
def test_an_interrupted_training_ends_with_the_bits_of_one_that_is_not(digits, regime, tmp_path):
    told = replace(
        OPTIONS, perturbation=Perturbation(directions=2), checkpoint=tmp_path / "a.pt", fingerprint="f"
    )
    whole = Run(build(), digits, INTEGER_REGIMES[regime], replace(told, checkpoint=None)).train()[0]
    with pytest.raises(KeyboardInterrupt):
        Run(build(), digits, INTEGER_REGIMES[regime], replace(told, watcher=Interrupting)).train()
    resumed = Run(build(), digits, INTEGER_REGIMES[regime], told).train()[0]
    assert resumed.digest == whole.digest is not None
    losses = [epoch.train_loss for epoch in whole.history]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(("regime", "checksum"), [("niti-zo", "1e34a969"), ("niti-zo-hybrid", "3ff1acfd")])
def test_images_and_labels_from_the_shared_generator_end_with_the_recorded_bits(regime, checksum):
    """What any other implementation must reach: 20 steps of 16 images of noise."""
    net, rng, step = build(regime).train(), Xorshift32(7), INTEGER_REGIMES[regime]
    updater = updater_of(net, regime, Perturbation(directions=2, range=15, mu=2))
    for done in range(20):
        updater.set_progress(done, 20)
        pixels = rng.uniform(16 * 64, 256).to(torch.uint8).view(16, 1, 8, 8)
        labels = rng.uniform(16, 10).long()
        step.step(net, step.phases(net)[0], pixels, labels)
        updater.finish_step()
    assert digest(weights_of(net.bodies)) == checksum
