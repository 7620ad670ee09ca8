"""A training as Nøkland & Eidnes 2019 do it, against plain PyTorch: steps, rates, dropout, isolation."""

import copy
from dataclasses import replace

import pytest
import torch
from tiers import quick
from torch.nn import functional as F

from blockwise import models, quant
from blockwise.data import Dataset, load
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.presets import PRESETS
from blockwise.experiment.settings import NetworkSettings
from blockwise.nets.blocks import BlockNet
from blockwise.nets.cuts import cut
from blockwise.training import REGIMES, Run, TrainOptions
from blockwise.training.bp_micro import difference
from blockwise.training.local import LocalLearning, block_step
from blockwise.training.options import Silent
from blockwise.training.schedules import SCHEDULES
from blockwise.training.updater import Updater

pytestmark = pytest.mark.slow

STYLE = models.Style("leaky-relu", 0.2, True, "pytorch")
POOLED = ("conv2", "conv4", "conv5", "conv6")


def build(head: str = "predsim", shape: tuple[int, ...] = (3, 16, 16), width: int = 4) -> BlockNet:
    torch.manual_seed(0)
    chain = models.build("vgg8b", shape, 10, width, style=STYLE)
    net = BlockNet(chain, cut(chain.stages, "each", lambda *_: 0), head)
    net.zero_output()
    return net.train()


def batch(shape: tuple[int, ...] = (3, 16, 16), size: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(size, *shape, generator=generator), torch.arange(size) % 4


def correlation(rows: torch.Tensor) -> torch.Tensor:
    """Section 2.2 of the paper, with its program's 1e-8 beside the norm."""
    centred = rows - rows.mean(dim=1, keepdim=True)
    unit = centred / (1e-8 + centred.square().sum(dim=1, keepdim=True).sqrt())
    return unit @ unit.T


def reference_loss(h: torch.Tensor, y: torch.Tensor, own: dict[str, torch.Tensor]) -> torch.Tensor:
    """predsim of a map or of flat features, from functions of torch alone."""
    if h.ndim == 4:
        count = own["pred.classify.linear.weight"].shape[1]
        rows = F.conv2d(h, own["branch.0.weight"], padding=1).flatten(2).std(dim=2)
        side = h.shape[2]
        sizes = ((i, j) for i in (side, side // 2, side // 4) for j in (i, 2 * i))
        size = next((i, j) for i, j in sizes if h.shape[1] * i * j == count)
        flat = F.adaptive_avg_pool2d(h, size).flatten(1)
    else:
        rows, flat = h @ own["branch.0.weight"].T, h
    logits = F.linear(flat, own["pred.classify.linear.weight"], own["pred.classify.linear.bias"])
    similar = F.mse_loss(correlation(rows), correlation(F.one_hot(y, 10).to(h.dtype)))
    return 0.01 * F.cross_entropy(logits, y) + 0.99 * similar


def reference_step(net: BlockNet, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
    """Gradients of every parameter by its own block's loss, layer by layer; the masks of dropout in order."""
    found = {}
    for index, name in enumerate(net.names):
        own = dict(net.named_parameters(prefix=""))
        body = {k.split(".", 3)[3]: p for k, p in own.items() if k.startswith(f"bodies.{index}.")}
        head = {k.split(".", 2)[2]: p for k, p in own.items() if k.startswith(f"heads.{index}.")}
        if name == "classifier":
            loss = 0.01 * F.cross_entropy(F.linear(x, body["linear.weight"], body["linear.bias"]), y)
        else:
            layer = "conv" if name.startswith("conv") else "linear"
            w, b = body[f"{layer}.weight"], body[f"{layer}.bias"]
            z = F.conv2d(x, w, b, padding=1) if layer == "conv" else F.linear(x.flatten(1), w, b)
            z = F.batch_norm(z, None, None, body["norm.weight"], body["norm.bias"], training=True)
            h = F.leaky_relu(z, 0.01)
            drop = F.dropout2d if layer == "conv" else F.dropout
            x = drop(h.detach(), 0.2)
            x = F.max_pool2d(x, 2) if name in POOLED else x
            loss = reference_loss(h, y, head)
        names = [f"bodies.{index}.0.{k}" for k in body] + [f"heads.{index}.{k}" for k in head]
        found |= dict(zip(names, torch.autograd.grad(loss, [*body.values(), *head.values()]), strict=True))
    return found


def test_one_step_has_the_gradients_of_the_published_losses_block_by_block():
    net, (x, y) = build().double(), batch()
    for name, parameter in net.named_parameters():
        if "linear" in name and not parameter.any():  # at zero nothing would pass the classifiers
            torch.nn.init.normal_(parameter, std=0.1)
    twin = copy.deepcopy(net)
    torch.manual_seed(5)
    (phase,) = LocalLearning().phases(net)
    LocalLearning().step(net, phase, x.double(), y)
    torch.manual_seed(5)
    expected = reference_step(twin, x.double(), y)
    assert expected.keys() == dict(net.named_parameters()).keys()
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-8, atol=1e-12, msg=name)


def test_no_gradient_comes_back_through_the_pool_or_into_an_earlier_block():
    net, (x, y) = build(), batch()
    x.requires_grad_()
    out, _ = block_step(net, 0, x, y)
    assert not out.requires_grad
    reached = x.grad.clone()
    out, _ = block_step(net, 1, out, y)
    assert not out.requires_grad
    assert torch.equal(x.grad, reached)
    untouched = [p for i in range(2, len(net)) for p in net.bodies[i].parameters()]
    assert all(p.grad is None for p in untouched)


@pytest.mark.parametrize("fused", [False, True])
def test_the_update_is_adams_with_the_published_rate_and_no_decay(fused):
    net, (x, y) = build(), batch()
    twin = copy.deepcopy(net)
    training = PRESETS["local-loss"].training
    updater = Updater(
        net.parameters(), training.optimizer, fused=fused, peak=training.lr, schedule=training.schedule,
        weight_decay=training.weight_decay,
    )  # fmt: skip
    reference = torch.optim.Adam(twin.parameters(), lr=5e-4)
    (phase,) = LocalLearning().phases(net)
    for step in range(3):
        torch.manual_seed(step)
        updater.set_progress(step, 100)
        LocalLearning().step(net, phase, x, y)
        updater.finish_step()
        torch.manual_seed(step)
        reference.zero_grad()
        LocalLearning().step(twin, phase, x, y)
        reference.step()
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), twin.parameters(), strict=True))


@pytest.mark.parametrize(("epochs", "milestones"), [(400, [200, 300, 356, 376]), (100, [50, 75, 89, 94])])
@pytest.mark.parametrize("steps", [1, 3, 371])
def test_the_rate_falls_at_the_epochs_of_torchs_multi_step_schedule(epochs, milestones, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=5e-4)
    reference = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.25)
    updater = Updater([torch.nn.Parameter(torch.zeros(1))], "adam", fused=False, peak=5e-4, schedule="steps")
    for epoch in range(epochs):
        for step in (0, steps - 1):
            updater.set_progress(epoch * steps + step, epochs * steps)
            rate = updater.optimizers[0].param_groups[0]["lr"]
            assert rate == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        optimizer.step()
        reference.step()


def test_a_training_of_a_single_step_has_the_whole_rate():
    assert SCHEDULES["steps"](0, 1) == 1.0


# ----------------------------------------------------------------- dropout


@pytest.fixture(scope="module")
def digits() -> Dataset:
    full = load("digits", seed=0)
    part = torch.arange(64)
    return replace(full, train=full.train.select(part), test=full.test.select(part))


def options(regime: str, **others: object) -> TrainOptions:
    told = TrainOptions(2, 16, "adam", 5e-4, regime != "bp", 3, schedule="steps", weight_decay=0.0)
    return replace(told, digest=True, **others)  # type: ignore[arg-type]


@pytest.mark.parametrize("compare", [("bp", "bp-checkpoint"), ("local", "local-paged")])
def test_regimes_that_promise_the_same_bits_keep_it_with_dropout(digits, compare):
    found = [
        Run(build(shape=(1, 8, 8), width=2), digits, REGIMES[regime], options(regime)).train()[0].digest
        for regime in compare
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("regime", ["local", "local-resident"])
@pytest.mark.parametrize("head", quick(["pred", "sim", "predsim", "predsim-pooled"], "predsim"))
def test_every_block_is_validated_by_its_own_head_where_that_stands(digits, head, regime):
    net = build(head, shape=(1, 8, 8), width=2)
    training = Run(net, digits, REGIMES[regime], options(regime, epochs=1)).train()[0]
    assert all(torch.isfinite(torch.tensor(epoch.train_loss)) for epoch in training.history)
    told = {epoch.block for epoch in training.history if epoch.validation_accuracy is not None}
    classifying = set(net.names) if head != "sim" else {"classifier"}
    assert told == (classifying if regime == "local-resident" else {""})


@pytest.mark.parametrize(
    ("norm", "told"), [("group", ""), ("batch", "batch norm sees 1 image at a time, and ")]
)
def test_micro_batches_under_dropout_are_not_said_to_give_the_gradients_of_bp(norm, told):
    layers = setup(norm=norm).network.layers
    assert difference(layers, quant.METHODS["fp32"], 32, 1) == f"{told}dropout draws in another order"


class _Stop(Silent):
    def epoch(self, regime: str, epoch: object) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("regime", ["local", "bp-checkpoint"])
def test_a_resumed_training_with_dropout_ends_with_the_bits_of_an_uninterrupted_one(digits, regime, tmp_path):
    whole = Run(build(shape=(1, 8, 8), width=2), digits, REGIMES[regime], options(regime)).train()[0]
    told = options(regime, checkpoint=tmp_path / "c.pt")
    with pytest.raises(KeyboardInterrupt):
        Run(build(shape=(1, 8, 8), width=2), digits, REGIMES[regime], replace(told, watcher=_Stop)).train()
    torch.manual_seed(99)  # whatever was drawn in between
    again = Run(build(shape=(1, 8, 8), width=2), digits, REGIMES[regime], told).train()[0]
    assert again.digest == whole.digest


# ------------------------------------------------------------------ preset


def setup(**network: object) -> Prepared:
    preset = PRESETS["local-loss"]
    images = replace(preset.images, data="digits")
    chosen = replace(preset.network, width=2, **network)  # type: ignore[arg-type]
    return prepare(replace(preset, network=chosen, images=images))


def test_the_output_layer_starts_at_zero_where_it_learns_by_itself_and_not_in_backpropagation():
    chosen = setup()
    assert not chosen.build("local").bodies[-1][0].linear.weight.any()
    assert chosen.build("local").bodies[-1][0].linear.bias.any()
    assert chosen.build("bp").bodies[-1][0].linear.weight.any()
    for other in ({"head": "gap"}, {"blocks": "layers"}):
        assert setup(**other).build("local").bodies[-1][-1].linear.weight.any()


def test_first_weights_are_pytorchs_own():
    layer = models.build("vgg8b", style=models.Style(init="pytorch")).units["conv2"].conv
    bound = 1 / (128 * 9) ** 0.5
    assert bound > layer.weight.abs().max() > 0.99 * bound
    assert layer.bias is None


def test_a_bias_alone_leaves_the_weights_as_they_were():
    torch.manual_seed(0)
    plain = models.build("vgg8b", width=4)
    torch.manual_seed(0)
    biased = models.build("vgg8b", width=4, style=models.Style(bias=True))
    for name, parameter in plain.named_parameters():
        assert torch.equal(parameter, biased.get_parameter(name))
    extra = dict(biased.named_parameters()).keys() - dict(plain.named_parameters()).keys()
    assert extra == {f"units.conv{i}.conv.bias" for i in range(1, 7)} | {"units.hidden.linear.bias"}
    assert all(biased.get_parameter(name).any() for name in extra)


def test_the_default_network_is_the_plain_one():
    assert Config().network.style == models.PLAIN == NetworkSettings().style
