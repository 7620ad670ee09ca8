"""Quantization after training: norms folded, levels chosen from training images, resumed to the bit."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from blockwise import models, quant
from blockwise.data import Dataset, load
from blockwise.heads.shared import ReadConv
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.training import REGIMES, Run, TrainOptions, calibration
from blockwise.training.options import Silent
from blockwise.training.outcome import Epoch
from devices.errors import InputError
from devices.program.regimes import Step

NAMES = ("ptq-minmax", "ptq-percentile", "ptq-mse")
OPTIONS = TrainOptions(epochs=2, batch_size=16, optimizer="sgd", learning_rate=0.05, fused=False, seed=5)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    full = load("digits", seed=0)
    part = torch.arange(160)
    return replace(full, train=full.train.select(part), test=full.test.select(part))


def build(
    method: str = "ptq-mse", bits: int = 3, model: str = "cnn", norm: str = "batch", head: str = "gap",
    **others: str,
) -> BlockNet:  # fmt: skip
    torch.manual_seed(0)
    chain = models.build(model, (1, 8, 8), 10, 4, norm)
    groups = Anatomy(chain, head).cut("layers", Step())
    scheme = quant.scheme(method, **others)
    return BlockNet(quant.quantize(chain, scheme, bits if method != "fp32" else 32, bits), groups, head)


def with_statistics(net: BlockNet) -> BlockNet:
    """Norms as after a training: nothing is one or zero."""
    generator = torch.Generator().manual_seed(1)
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (norm.running_mean, norm.bias.data):
                tensor.copy_(torch.randn(tensor.shape, generator=generator))
            for tensor in (norm.running_var, norm.weight.data):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return net


# ------------------------------------------------------------------ folding


@pytest.mark.parametrize("model", ["cnn", "mlp", "resnet20", "vgg8b"])
def test_folded_norms_leave_the_float_network_as_it_is(model):
    net = with_statistics(build(model=model)).eval()
    calibration.pass_floats(net)
    x = torch.randn(5, 1, 8, 8)
    with torch.no_grad():
        expected = net(x)
        keys = list(net.state_dict())
        for body in net.bodies:
            calibration.fold_norms(body, "body")
        torch.testing.assert_close(net(x), expected, rtol=1e-4, atol=1e-4)
    assert list(net.state_dict()) == keys
    norms = [m for m in net.bodies.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert norms
    for norm in norms:  # only a shift is left
        assert torch.equal(norm.weight, torch.ones_like(norm.weight))
        torch.testing.assert_close(norm.running_var + norm.eps, torch.ones_like(norm.running_var))


def test_folded_weights_are_those_of_torchs_own_fusion():
    net = with_statistics(build()).eval()
    conv, norm = net.bodies[0][0].conv, net.bodies[0][0].norm
    plain = nn.Conv2d(1, 4, 3, padding=1, bias=False)
    plain.load_state_dict({"weight": conv.weight})
    fused = fuse_conv_bn_eval(plain.eval(), copy.deepcopy(norm))
    with torch.no_grad():
        calibration.fold_norms(net.bodies[0], "body")
    torch.testing.assert_close(conv.weight, fused.weight)
    torch.testing.assert_close(-norm.running_mean, fused.bias)


def test_a_bias_before_a_norm_ends_in_its_shift():
    norm = nn.BatchNorm1d(3)
    with torch.no_grad():
        norm.running_mean.uniform_(), norm.running_var.uniform_(0.5, 1), norm.weight.uniform_()
    linear = nn.Linear(4, 3)
    fused = fuse_linear_bn_eval(copy.deepcopy(linear).eval(), copy.deepcopy(norm).eval())
    wide = nn.Sequential(nn.Linear(4, 4), linear, norm, nn.Linear(3, 2))
    quant.quantize(wide, "ptq-minmax", 8, 8).eval()
    with torch.no_grad():
        calibration.fold_norms(wide, "body")
    torch.testing.assert_close(wide[1].weight, fused.weight)
    torch.testing.assert_close(-wide[2].running_mean, fused.bias)
    assert not wide[1].bias.any()


def test_weights_that_were_trained_quantized_keep_their_norms():
    """Their levels fit the weights as they are."""
    net = with_statistics(build("lsq", activation_method="ptq-mse")).eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with torch.no_grad():
        calibration.fold_norms(net.bodies[0], "body")
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize("norm", ["group", "frozen", "none"])
def test_other_norms_stay_where_they_are(norm, digits):
    net = build(norm=norm)
    calibration.pass_floats(net)
    net.train()(digits.normalize(digits.train.images[:8]))
    calibration.calibrate(net, digits.train, digits.normalize)
    assert {q.bits for q in calibration.late_quantizers(net)} == {3, 8}


# -------------------------------------------------------------- calibration


@pytest.mark.parametrize("name", NAMES)
def test_training_is_that_of_the_float_network_and_quantized_in_the_end(digits, name):
    late, plain = (Run(build(method), digits, REGIMES["bp"], OPTIONS) for method in (name, "fp32"))
    outcomes = [run.train()[0] for run in (late, plain)]
    losses = [[(epoch.train_loss, epoch.validation_accuracy) for epoch in o.history] for o in outcomes]
    assert losses[0] == losses[1]
    for key, tensor in plain.session.best.items():
        assert torch.equal(late.session.best[key], tensor), key
    for module in late.net.modules():
        if isinstance(module, quant.Quantizer):
            assert module.bits == module.target_bits
            assert bool(module.ready)
    with torch.no_grad():
        floats = plain.net.eval()(digits.normalize(digits.test.images))
        found = late.net.eval()(digits.normalize(digits.test.images))
    assert not torch.equal(found, floats)
    assert F.cosine_similarity(found, floats).mean() > 0.8


def test_eight_bits_after_training_are_nearly_the_float_network(digits):
    runs = [Run(build(name, 8), digits, REGIMES["bp"], OPTIONS) for name in ("ptq-minmax", "fp32")]
    accuracies = [run.train()[0].test_accuracy for run in runs]
    assert accuracies[0] == pytest.approx(accuracies[1], abs=0.02)


@pytest.mark.parametrize("regime", ["bp", "local", "local-resident"])
def test_accuracies_are_those_of_the_quantized_network(digits, regime):
    run = Run(build(bits=2), digits, REGIMES[regime], OPTIONS)
    outcome = run.train()[0]
    for split, accuracy in (
        (digits.test, outcome.test_accuracy),
        (digits.validation, outcome.validation_accuracy),
        (digits.validation, outcome.block_accuracies[run.net.names[-1]]),
    ):
        with torch.no_grad():
            logits = run.net.eval()(digits.normalize(split.images))
        assert (logits.argmax(1) == split.labels).float().mean().item() == pytest.approx(accuracy)


@pytest.mark.parametrize(("size", "expected"), [(3, [0, 1, 2]), (128, list(range(128))), (1280, None)])
def test_the_images_are_spread_over_the_training_set(digits, size, expected):
    """A set that is sorted by class has all of them."""
    split = digits.train.select(torch.arange(size) % len(digits.train))
    split.images[:, 0, 0, 0] = torch.arange(size) % 256  # their place, as far as a byte tells
    found = calibration.calibration_images(split, lambda images: images.float())[:, 0, 0, 0]
    every = torch.arange(0, 1280, 10) if expected is None else torch.tensor(expected)
    assert torch.equal(found, (every % 256).float())


def test_later_layers_are_calibrated_on_what_earlier_ones_have_quantized(digits):
    """A second pass over the same images finds the levels that the first one chose."""
    run = Run(build(bits=2), digits, REGIMES["bp"], OPTIONS)
    run.train()
    steps = {name: tensor.clone() for name, tensor in run.net.state_dict().items() if name.endswith("step")}
    for quantizer in calibration.late_quantizers(run.net):
        quantizer.ready.fill_(False)
        quantizer._is_ready = False
    with torch.no_grad():
        run.net(calibration.calibration_images(digits.train, digits.normalize))
    assert all(torch.equal(run.net.state_dict()[name], step) for name, step in steps.items())


def test_heads_that_read_a_blocks_weights_read_them_without_the_norm_that_was_folded(digits):
    """At eight bits they predict what they did at the training's end, as the network does."""
    net = build("ptq-minmax", 8, head="lookahead-shared", norm="batch")
    run = Run(net, digits, REGIMES["local"], OPTIONS)
    before: list[dict[int, float | None]] = []
    calibrate = run.selection.calibrate

    def noting(normalize):
        before.append(run.selection._evaluate("validation", tuple(range(len(net)))).accuracies)
        calibrate(normalize)

    run.selection.calibrate = noting
    found = run.train()[0].block_accuracies
    assert any(isinstance(m, ReadConv) and m.folded is not None for m in net.heads.modules())
    assert [found[name] for name in net.names] == pytest.approx(list(before[0].values()), abs=0.04)


def test_heads_stay_float_in_local_regimes(digits):
    run = Run(build(), digits, REGIMES["local"], OPTIONS)
    heads = copy.deepcopy(run.net.heads)
    assert not calibration.late_quantizers(heads)
    run.train()
    assert not [m for m in run.net.heads.modules() if isinstance(m, quant.Quantizer)]


def test_no_training_images_are_refused_before_any_work(digits):
    empty = replace(digits, train=digits.train.select(torch.arange(0)))
    with pytest.raises(InputError, match="calibration: got 0 training images, wanted at least 1"):
        Run(build(), empty, REGIMES["bp"], OPTIONS).train()


# ------------------------------------------------------------------ resuming


class Interrupting(Silent):
    """Ctrl-C after so many epochs."""

    def __init__(self, after: int) -> None:
        self.left = after

    def epoch(self, regime: str, epoch: Epoch) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stop", [1, 2])
def test_a_resumed_run_is_calibrated_to_the_same_bits(digits, tmp_path, stop):
    """Also one that was interrupted after its last epoch, before it was calibrated."""
    states, accuracies = [], []
    for path, interrupted in ((tmp_path / "whole.pt", False), (tmp_path / "parts.pt", True)):
        told = replace(OPTIONS, checkpoint=path, fingerprint="f")
        if interrupted:
            watched = replace(told, watcher=lambda: Interrupting(stop))
            with pytest.raises(KeyboardInterrupt):
                Run(build(), digits, REGIMES["bp"], watched).train()
        run = Run(build(), digits, REGIMES["bp"], told)
        accuracies.append(run.train()[0].test_accuracy)
        states.append(run.net.state_dict())
    assert accuracies[0] == accuracies[1]
    assert all(torch.equal(states[1][name], tensor) for name, tensor in states[0].items())


def test_a_finished_run_comes_back_calibrated_and_is_not_calibrated_again(digits, tmp_path, monkeypatch):
    told = replace(OPTIONS, checkpoint=tmp_path / "run.pt", fingerprint="f")
    first = Run(build(), digits, REGIMES["bp"], told)
    first.train()
    assert torch.load(Path(told.checkpoint), weights_only=True)["progress"]["calibrated"]
    monkeypatch.setattr(calibration, "calibrate", lambda *_: pytest.fail("calibrated again"))
    again = Run(build(), digits, REGIMES["bp"], told)
    again.train()
    x = digits.normalize(digits.test.images)
    with torch.no_grad():
        assert torch.equal(again.net.eval()(x), first.net.eval()(x))
