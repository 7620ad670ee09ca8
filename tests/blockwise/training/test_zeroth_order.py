"""Zeroth order: by hand for a linear model, on the mean the gradient, to the bit after an interruption."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_cnn import OPTIONS, build
from torch import Tensor, nn

from blockwise import models
from blockwise.integer import directions as drawn
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.training import REGIMES, Run
from blockwise.training.directions import DirectionUpdater
from blockwise.training.numerics import FloatNumerics
from blockwise.training.options import Perturbation, Silent
from devices.program.regimes import Step


class HalfSquare(nn.Module):
    """Mean of (h - y)^2 / 2, in place of the cross entropy."""

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        return (h[:, 0] - y).square().mean() / 2


def linear_net(classes: int = 2, inputs: int = 3) -> BlockNet:
    torch.manual_seed(0)
    chain = models.from_module(nn.Sequential(nn.Flatten(), nn.Linear(inputs, classes)), (1, 1, inputs))
    return BlockNet(chain, Anatomy(chain, "gap").cut("1", Step()), "gap")


def updater_of(net: BlockNet, told: Perturbation, regime: str = "zo", seed: int = 5) -> DirectionUpdater:
    options = replace(OPTIONS, perturbation=told, seed=seed, weight_decay=0.0)
    found = FloatNumerics().updater(net, options, regime)
    assert isinstance(found, DirectionUpdater)
    found.rate = told.rate
    return found


def stepped(net: BlockNet, updater: DirectionUpdater, x: Tensor, y: Tensor, regime: str = "zo") -> Tensor:
    (phase,) = REGIMES[regime].phases(net)
    loss = REGIMES[regime].step(net, phase, x, y)
    updater.finish_step()
    return loss


def test_a_linear_model_under_a_quadratic_loss_steps_as_by_hand():
    """L = (w.x - t)^2 / 2 is even about its quadratic part: the estimate is z.grad L whatever eps is."""
    net = linear_net()
    net.heads[-1] = HalfSquare()
    layer = next(m for m in net.modules() if isinstance(m, nn.Linear))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -2.0, 0.5], [4.0, 4.0, 4.0]]))
        layer.bias.copy_(torch.tensor([0.25, 8.0]))
    x, y = torch.tensor([[[[1.0, 2.0, -1.0]]]]), torch.tensor([1.0])
    # w.x + b = 1 - 4 - 0.5 + 0.25 = -3.25, less 1: -4.25; gradient -4.25 (1, 2, -1) and -4.25, second row 0
    z = drawn.signs(drawn.generator(5, 0, 0), 6).tolist()
    by_bias = drawn.signs(drawn.generator(5, 1, 0), 2).tolist()
    slope = -4.25 * (z[0] + 2 * z[1] - z[2] + by_bias[0])
    wanted = [
        1 - 0.125 * slope * z[0], -2 - 0.125 * slope * z[1], 0.5 - 0.125 * slope * z[2],
        *(4 - 0.125 * slope * s for s in z[3:]),
    ]  # fmt: skip
    updater = updater_of(net, Perturbation(eps=0.25, rate=0.125))
    loss = stepped(net, updater, x, y)
    assert layer.weight.detach().flatten().tolist() == pytest.approx(wanted, abs=1e-5)
    assert layer.bias.tolist() == pytest.approx(
        [0.25 - 0.125 * slope * by_bias[0], 8 - 0.125 * slope * by_bias[1]], abs=1e-5
    )
    # the mean of both losses: 4.25^2 / 2 and the square of the way along the direction
    assert float(loss) == pytest.approx((4.25**2 + (0.25 * slope / 4.25) ** 2) / 2, rel=1e-5)


def test_the_mean_over_many_directions_is_the_gradient_of_autograd():
    net = linear_net(classes=3, inputs=8)
    x, y = torch.randn(16, 1, 1, 8), torch.arange(16) % 3
    net.heads[-1](net(x), y).backward()
    parameters = list(net.parameters())
    gradient = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    updater = updater_of(net, Perturbation(eps=1e-2, rate=1.0, directions=400))
    before = torch.cat([p.detach().flatten() for p in parameters])
    stepped(net, updater, x, y)
    estimate = before - torch.cat([p.detach().flatten() for p in parameters])
    cosine = torch.cosine_similarity(estimate, gradient, 0)
    # 27 parameters: signs leave (d - 1) / n of the squared length beside the gradient
    assert float(cosine) == pytest.approx((1 + 26 / 400) ** -0.5, abs=0.02)
    assert float(estimate @ gradient / gradient.square().sum()) == pytest.approx(1, abs=0.1)


def test_statistics_move_once_a_step_and_steps_of_quantizers_never():
    net = build("lsq").train()
    x, y = torch.randn(16, 1, 8, 8), torch.arange(16) % 10
    with torch.no_grad():
        net(x)
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    counted = [int(m.num_batches_tracked) for m in norms]
    sizes = {n: p.clone() for n, p in net.named_parameters() if n.endswith("step")}
    weights = {n: p.clone() for n, p in net.named_parameters() if n not in sizes}
    updater = updater_of(net, Perturbation(0.05, 0.05, directions=3))
    stepped(net, updater, x, y)
    assert [int(m.num_batches_tracked) for m in norms] == [n + 1 for n in counted]
    after = dict(net.named_parameters())
    assert sizes and all(torch.equal(after[n], p) for n, p in sizes.items())
    assert all(not torch.equal(after[n], p) for n, p in weights.items() if "heads" not in n)
    assert all(p.grad is None for p in net.parameters())


def test_the_front_of_a_hybrid_is_perturbed_alone_and_the_rest_steps_by_the_gradient_of_the_last_pass():
    nets = [build("fp32", norm="none") for _ in range(2)]
    x, y = torch.randn(16, 1, 8, 8), torch.arange(16) % 10
    updater = updater_of(nets[0], Perturbation(0.05, 0.01), "zo-hybrid")
    assert updater.directions.front == len(nets[0]) - 1
    updater.rear.set_learning_rate(0.1)
    stepped(nets[0], updater, x, y, "zo-hybrid")
    other = updater_of(nets[1], Perturbation(0.05, 0.01), "zo-hybrid")
    other.directions.move(0, 1)  # by hand: to w + e z, from there to w - e z, and back through the last block
    other.directions.move(0, -2)
    with torch.no_grad():
        h = nets[1].run(x, 0, len(nets[1]) - 1)
    rear = nets[1].bodies[-1]
    gradients = torch.autograd.grad(nets[1].heads[-1](rear(h), y), list(rear.parameters()))
    wanted = [p - 0.1 * 1.9 * g for p, g in zip(rear.parameters(), gradients, strict=True)]
    for found, value in zip(nets[0].bodies[-1].parameters(), wanted, strict=True):
        assert torch.allclose(found, value, atol=1e-6)


class Interrupting(Silent):
    def epoch(self, regime, epoch):
        raise KeyboardInterrupt


@pytest.mark.parametrize("regime", ["zo", "zo-hybrid"])
def test_an_interrupted_training_ends_with_the_bits_of_one_that_is_not(digits, regime, tmp_path: Path):
    told = replace(
        OPTIONS, digest=True, perturbation=Perturbation(0.05, 0.02, 2), checkpoint=tmp_path / "a.pt",
        fingerprint="f",
    )  # fmt: skip
    whole = Run(build(), digits, REGIMES[regime], replace(told, checkpoint=None)).train()[0]
    with pytest.raises(KeyboardInterrupt):
        Run(build(), digits, REGIMES[regime], replace(told, watcher=Interrupting)).train()
    assert (tmp_path / "a.pt").exists()
    resumed = Run(build(), digits, REGIMES[regime], told).train()[0]
    assert resumed.digest == whole.digest is not None
    again = Run(build(), digits, REGIMES[regime], replace(told, checkpoint=None, seed=4)).train()[0]
    assert again.digest != whole.digest


def test_it_learns(digits):
    told = replace(OPTIONS, epochs=10, batch_size=16, perturbation=Perturbation(0.01, 0.01))
    net = linear_net(classes=10, inputs=64)
    # the digits as one row each
    flat = replace(
        digits, train=replace(digits.train, images=digits.train.images.view(-1, 1, 1, 64)),
        validation=replace(digits.validation, images=digits.validation.images.view(-1, 1, 1, 64)),
        test=replace(digits.test, images=digits.test.images.view(-1, 1, 1, 64)), policy=digits.policy,
    )  # fmt: skip
    losses = [epoch.train_loss for epoch in Run(net, flat, REGIMES["zo"], told).train()[0].history]
    assert losses[-1] < 0.8 * losses[0]
