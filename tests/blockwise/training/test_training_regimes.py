"""Training against outside references: plain autograd, torch.optim, and each other."""

import copy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from blockwise import models, quant
from blockwise.data import Dataset, Split, batches, load
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.training import REGIMES, Run, TrainOptions, features, make_regime, segments
from blockwise.training import loop as loop_module
from blockwise.training.features import cache_features, pays
from blockwise.training.host import StorageCounter
from blockwise.training.schedules import one_cycle
from blockwise.training.updater import WEIGHT_DECAY, Updater
from devices.errors import InputError
from devices.program.regimes import Step, find

OPTIONS = TrainOptions(
    epochs=2, batch_size=32, optimizer="sgd-momentum", learning_rate=0.1, fused=False, seed=3
)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    full = load("digits", seed=0)
    part = torch.arange(160)
    return replace(full, train=full.train.select(part), test=full.test.select(part[:100]))


def build(method: str = "lsq", head: str = "gap", blocks: str = "layers", norm: str = "batch") -> BlockNet:
    torch.manual_seed(0)
    chain = models.build("cnn", (1, 8, 8), 10, 4, norm)
    groups = Anatomy(chain, head).cut(blocks, Step())
    quant.quantize(chain, method)
    return BlockNet(chain, groups, head)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def plain_loop(net: BlockNet, data: Dataset, options: TrainOptions) -> BlockNet:
    """The textbook: torch.optim.SGD, cross entropy, no blocks. Returns the last epoch's network."""
    net = net.to(memory_format=torch.channels_last).train()
    parameters = [p for body in net.bodies for p in body.parameters()]
    matrices = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.0, momentum=0.9, nesterov=True)
    steps, done = len(data.train) // options.batch_size, 0
    for epoch in range(options.epochs):
        loader = batches(
            data.train, options.batch_size, normalize=data.normalize, seed=options.seed, epoch=epoch,
            shuffle=True, drop_last=True,
        )  # fmt: skip
        for x, y in loader:
            done += 1
            for group in optimizer.param_groups:
                group["lr"] = options.learning_rate * one_cycle((done - 0.5) / (steps * options.epochs))
            optimizer.zero_grad()
            F.cross_entropy(net(x.contiguous(memory_format=torch.channels_last)), y).backward()
            optimizer.step()
    return net


def test_bp_ends_with_the_bits_of_the_textbook_loop(digits):
    run = Run(build("fp32"), digits, REGIMES["bp"], OPTIONS)
    run.train()
    expected = plain_loop(build("fp32"), digits, OPTIONS)
    # of equal epochs the later one is kept: compare with the last where that is what was chosen
    assert run.progress.best_epoch == OPTIONS.epochs
    assert same(run.net.state_dict(), expected.state_dict())


@pytest.mark.parametrize("method", quant.METHODS)
def test_checkpointing_and_fused_updates_end_with_the_bits_of_plain_bp(digits, method):
    plain = Run(build(method), digits, REGIMES["bp"], OPTIONS)
    fused = Run(build(method), digits, REGIMES["bp"], replace(OPTIONS, fused=True))
    checkpointed = Run(build(method), digits, REGIMES["bp-checkpoint"], replace(OPTIONS, fused=True))
    for run in (plain, fused, checkpointed):
        run.train()
    assert same(plain.net.state_dict(), fused.net.state_dict())
    assert same(plain.net.state_dict(), checkpointed.net.state_dict())


def gradients(net: BlockNet) -> dict[str, torch.Tensor]:
    return {name: p.grad for name, p in net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("norm", ["group", "none"])
@pytest.mark.parametrize("size", [1, 3, 8])
def test_accumulated_gradients_are_those_of_the_whole_batch_where_no_statistics_are(norm, size):
    x, y = torch.randn(8, 1, 8, 8), torch.arange(8)
    found = []
    for regime in (REGIMES["bp"], make_regime("bp-micro", size)):
        net = build("fp32", norm=norm)
        loss = regime.step(net, regime.phases(net)[0], x, y)
        found.append((loss, gradients(net)))
    torch.testing.assert_close(found[0], found[1])


def test_micro_batches_give_batch_norm_the_statistics_of_each():
    x, y = torch.randn(8, 1, 8, 8), torch.arange(8)
    net, halves = build("fp32"), build("fp32")
    for regime, used in ((REGIMES["bp"], net), (make_regime("bp-micro", 4), halves)):
        regime.step(used, regime.phases(used)[0], x, y)
    whole, split = gradients(net), gradients(halves)
    assert not torch.allclose(whole["bodies.0.0.conv.weight"], split["bodies.0.0.conv.weight"], rtol=1e-3)


@pytest.mark.parametrize("again", [(False, False, False), (True, False, False), (False, True, False)])
def test_any_choice_of_recomputed_segments_gives_the_bits_of_one_pass(again):
    x, y = torch.randn(8, 1, 8, 8), torch.arange(8)
    plain, parts = build(), build()
    whole = segments.backpropagate([segments.Segment(plain, False)], plain.heads[-1], x, y)
    chosen = [segments.Segment(body, flag) for body, flag in zip(parts.bodies, again, strict=True)]
    loss = segments.backpropagate(chosen, parts.heads[-1], x, y)
    assert torch.equal(whole, loss)
    assert same(gradients(plain), gradients(parts))
    assert same(plain.state_dict(), parts.state_dict())


@pytest.mark.parametrize(
    ("regime", "twin"),
    [("bp-fused", "bp"), ("bp-best", "bp"), ("bp-checkpoint", "bp"), ("local-paged", "local")],
)
def test_a_regime_that_is_not_trained_again_ends_with_the_bits_of_its_twin(digits, regime, twin):
    assert find(regime).same_as(compiled=False) == twin
    states = []
    for name, fused in ((regime, True), (twin, False)):
        run = Run(build(), digits, REGIMES[name], replace(OPTIONS, fused=fused))
        run.train()
        states.append(run.net.state_dict())
    assert same(*states)


@pytest.mark.parametrize("optimizer", ["sgd", "sgd-momentum", "adam"])
def test_a_fused_updater_makes_the_same_updates_as_torch_optim_at_the_end(optimizer):
    torch.manual_seed(0)
    nets = [torch.nn.Linear(5, 3) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    kinds = zip(nets, (False, True), strict=True)
    updaters = [Updater(net.parameters(), optimizer, fused=fused) for net, fused in kinds]
    for _ in range(4):
        x = torch.randn(7, 5)
        for net, updater in zip(nets, updaters, strict=True):
            updater.set_learning_rate(0.1)
            net(x).square().sum().backward()
            updater.finish_step()
            assert all(p.grad is None for p in net.parameters())
    assert same(nets[0].state_dict(), nets[1].state_dict())


@pytest.mark.parametrize("optimizer", ["sgd-momentum", "adam"])
def test_codebooks_that_change_their_size_are_trained_on_without_what_belongs_to_the_old(digits, optimizer):
    told = replace(OPTIONS, epochs=3, optimizer=optimizer, stages=quant.Stages.chain((32, 4, 3)))
    plain, fused = (
        Run(build("centroids"), digits, REGIMES["bp"], replace(told, fused=fused)) for fused in (False, True)
    )
    for run in (plain, fused):
        run.train()
        codebooks = {key: value for key, value in run.net.state_dict().items() if "codebook" in key}
        assert codebooks
        assert {len(value) for value in codebooks.values()} == {8}
    assert same(plain.net.state_dict(), fused.net.state_dict())


def test_the_gradients_of_a_local_step_are_those_of_each_blocks_own_loss(digits):
    net, reference = build(), build()
    x, y = next(batches(digits.train, 32, normalize=digits.normalize))
    with torch.no_grad():
        net(x), reference(x)
    regime = REGIMES["local"]
    regime.step(net, regime.phases(net)[0], x, y)
    h, losses = x, []
    for body, head in zip(reference.bodies, reference.heads, strict=True):
        out = body(h)
        losses.append(head(out, y))
        h = out.detach()
    torch.stack(losses).sum().backward()
    for (name, ours), theirs in zip(net.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)


def test_block_resident_training_leaves_finished_blocks_alone_and_trains_each_for_all_epochs(digits):
    net = build(head="lookahead:4")
    run = Run(net, digits, REGIMES["local-resident"], OPTIONS)
    seen: list[tuple[int, dict[str, torch.Tensor]]] = []
    finish = run._finish_phase
    run._finish_phase = lambda: (finish(), seen.append((run.progress.phase, copy.deepcopy(net.state_dict()))))  # type: ignore[method-assign]
    outcome, _ = run.train()
    assert [phase for phase, _ in seen] == [1, 2, 3]
    for (_, earlier), (number, later) in pairwise(seen):
        finished = [key for key in earlier if int(key.split(".")[1]) < number - 1]
        assert finished
        assert all(torch.equal(earlier[key], later[key]) for key in finished)
    assert [(epoch.block, epoch.epoch) for epoch in outcome.history] == [
        (name, epoch) for name in net.names for epoch in (1, 2)
    ]


def test_the_best_epoch_is_the_one_that_is_best_on_validation_data_and_the_test_set_is_read_once(
    digits, monkeypatch
):
    scores = iter([0.3, 0.9, 0.9, 0.5])
    tested: list[Split] = []
    real = loop_module.evaluate

    def evaluate(net, split, heads, normalize, device):
        found = real(net, split, heads, normalize, device)
        if len(split) == len(digits.test):
            tested.append(split)
            return found
        return replace(found, accuracies=dict.fromkeys(found.accuracies, next(scores)))

    monkeypatch.setattr(loop_module, "evaluate", evaluate)
    outcome, _ = Run(build(), digits, REGIMES["bp"], replace(OPTIONS, epochs=4)).train()
    assert outcome.best_epoch == 3  # of the two at 0.9 the later
    assert outcome.validation_accuracy == 0.9
    assert len(tested) == 1


def test_without_validation_images_the_last_epoch_counts(digits):
    empty = torch.arange(0)
    data = replace(digits, validation=digits.validation.select(empty))
    outcome, _ = Run(build(), data, REGIMES["bp"], OPTIONS).train()
    assert outcome.best_epoch == OPTIONS.epochs
    assert outcome.validation_accuracy is None


def test_cached_features_are_the_features_to_the_bit_in_one_byte_each(digits):
    net = build().eval()
    cache = cache_features(net, 2, digits.train, 32, digits.normalize)
    index = torch.tensor([5, 0, 99])
    x = digits.normalize(digits.train.images[:32])
    assert cache.codes.dtype == torch.uint8
    assert len(cache.codebook) <= 8
    assert torch.equal(cache.take(torch.arange(32)), net.run(x, 0, 2))
    assert cache.take(index).shape == (3, *net.run(x, 0, 2).shape[1:])


def test_features_in_float_are_cached_as_floats(digits):
    net = build("fp32").eval()
    cache = cache_features(net, 1, digits.train, 32, digits.normalize)
    x = digits.normalize(digits.train.images[:32])
    assert cache.codebook is None
    assert torch.equal(cache.take(torch.arange(32)), net.run(x, 0, 1))


@pytest.mark.parametrize("method", ["fp32", "lsq", "bnn", "quant-noise", "uniq"])
def test_features_cached_or_not_the_training_ends_with_the_same_bits(digits, monkeypatch, method):
    ends = []
    for limit in (0, 1 << 30):
        monkeypatch.setattr(features, "LARGEST_BYTES", limit)
        run = Run(build(method), digits, REGIMES["local-resident"], OPTIONS)
        run.train()
        ends.append(run.net.state_dict())
    assert same(*ends)


def test_zeros_of_either_sign_are_cached_apart():
    net, images = build("fp32").eval(), torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    values = torch.tensor([0.0, -0.0, 1.0, -1.0]).view(4, 1, 1, 1).expand(4, 1, 8, 8)
    net.bodies[0] = torch.nn.Identity()
    cache = cache_features(net, 1, Split(images, torch.arange(4)), 3, lambda x: values[: len(x)])
    assert torch.equal(cache.take(torch.arange(3)).view(torch.int32), values[:3].view(torch.int32))
    assert len(cache.codebook) == 3


def test_whether_features_are_cached_follows_from_sizes_alone(digits, monkeypatch):
    """By hand: 4 channels of 4x4 floats behind block 1 and its pool."""
    per_image = 4 * 4 * 4 * features.BYTES_WHILE_CODING
    most = features.LARGEST_BYTES // per_image
    for count, expected in ((most, True), (most + 1, False)):
        monkeypatch.setattr(Split, "__len__", lambda _, count=count: count)
        assert pays(build().eval(), 1, digits.train, 2, augmented=False) is expected


def test_a_cache_pays_only_for_later_blocks_that_see_the_same_images_again(digits):
    net = build()
    assert pays(net, 1, digits.train, 2, augmented=False)
    assert not pays(net, 0, digits.train, 2, augmented=False)
    assert not pays(net, 1, digits.train, 1, augmented=False)
    assert not pays(net, 1, digits.train, 2, augmented=True)


def test_the_storage_counter_counts_each_storage_once_and_frees_it():
    held = torch.zeros(1000)
    with StorageCounter([held, held.view(10, 100)]) as counter:
        assert counter.live_bytes == 4000
        a = torch.ones(500)
        b = a.view(5, 100)
        assert counter.live_bytes == 6000
        c = b + 1
        assert counter.live_bytes == 8000
        del a, b
        assert counter.live_bytes == 6000
        del c
    assert counter.live_bytes == 4000
    assert counter.peak_bytes == 8000


def test_the_host_ledger_orders_the_regimes_as_the_device_ledger_does(digits):
    peaks = {}
    for name, regime in REGIMES.items():
        options = replace(OPTIONS, epochs=1, fused=name != "bp")
        peaks[name] = Run(build(), digits, regime, options).train()[1].peak_tensor_bytes
    assert peaks["bp"] > peaks["bp-checkpoint"]
    assert peaks["bp"] > peaks["local"] >= peaks["local-resident"]


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero():
    assert one_cycle(0.1) == pytest.approx(0.5)
    assert one_cycle(0.2) == pytest.approx(1.0)
    assert one_cycle(0.6) == pytest.approx(0.5)
    assert one_cycle(1.0) == 0.0


def rates(steps: int, peak: float = 1.0) -> list[float]:
    """The learning rate of every step of a training."""
    updater, found = Updater([torch.nn.Parameter(torch.zeros(1))], "sgd", fused=False, peak=peak), []
    for done in range(steps):
        updater.set_progress(done, steps)
        found.append(updater.optimizers[0].param_groups[0]["lr"])
    return found


@pytest.mark.parametrize("steps", [1, 2, 5, 10, 35, 1000])
def test_every_step_learns_at_the_rate_that_torchs_one_cycle_has_in_its_middle(steps):
    """Torch's schedule begins and ends near 0; every second of its points is the middle of a step."""
    points = 2 * steps + 1
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.1, total_steps=points, pct_start=(0.4 * steps + 1) / points,
        anneal_strategy="linear", cycle_momentum=False, div_factor=1e12,
    )  # fmt: skip
    expected = []
    for point in range(points):
        expected += [cycle.get_last_lr()[0]] * (point % 2)
        optimizer.step()
        cycle.step() if point < points - 1 else None
    assert rates(steps, peak=0.1) == pytest.approx(expected)
    assert min(rates(steps)) > 0


@pytest.mark.parametrize("steps", [5, 10, 35, 1000])
def test_the_mean_rate_is_half_the_peak_and_the_highest_lies_within_a_step_of_it(steps):
    found = rates(steps)
    assert sum(found) / steps == pytest.approx(0.5)
    assert 1 - 2.5 / steps <= max(found) <= 1


def test_a_training_of_one_step_learns_at_five_eighths_of_the_peak():
    assert rates(1, peak=0.8) == [pytest.approx(0.5)]


def test_the_last_step_moves_the_weights_and_so_does_the_only_one(digits):
    """With a single step the rate decides where it ends; with two the second adds to the first."""
    data, ends = replace(digits, train=digits.train.select(torch.arange(64))), []
    for size, rate in ((64, 0.1), (64, 0.2), (32, 0.1)):
        told = replace(OPTIONS, epochs=1, batch_size=size, learning_rate=rate)
        run = Run(build("fp32"), data, REGIMES["bp"], told)
        before, seen = run.net.bodies[0][0].conv.weight.detach().clone(), []
        real = run._step
        run._step = lambda *a, real=real, seen=seen, run=run, **k: (  # type: ignore[method-assign]
            real(*a, **k),
            seen.append(run.net.bodies[0][0].conv.weight.detach().clone()),
        )[0]
        run.train()
        assert all(not torch.equal(a, b) for a, b in pairwise([before, *seen]))
        ends.append(seen[-1] - before)
    torch.testing.assert_close(ends[1], 2 * ends[0], rtol=1e-3, atol=1e-6)


def test_an_unknown_optimizer_names_the_nearest_match():
    with pytest.raises(InputError, match="did you mean 'adam'"):
        Updater([], "adm", fused=True)


def residual_net(method: str, blocks: str = "stages") -> BlockNet:
    torch.manual_seed(0)
    chain = models.build("resnet20", (1, 8, 8), 10, 2)
    groups = Anatomy(chain, "gap").cut(blocks, Step())
    bits = 1 if method == "bnn" else 3
    quant.quantize(chain, method, bits, bits, "float")
    return BlockNet(chain, groups, "gap")


@pytest.mark.parametrize("method", ["lsq", "dorefa", "bnn", "lq-net"])
def test_with_float_skip_paths_recomputation_ends_with_the_bits_of_plain_bp(digits, method):
    plain = Run(residual_net(method), digits, REGIMES["bp"], replace(OPTIONS, epochs=1))
    again = Run(
        residual_net(method, "residual"), digits, REGIMES["bp-checkpoint"],
        replace(OPTIONS, epochs=1, fused=True),
    )  # fmt: skip
    for run in (plain, again):
        run.train()
    states = [run.net.bodies.state_dict().values() for run in (plain, again)]
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))


@pytest.mark.parametrize("method", ["lsq", "dorefa"])
def test_with_float_skip_paths_a_block_hands_on_floats(digits, method):
    run = Run(residual_net(method), digits, REGIMES["local-resident"], replace(OPTIONS, epochs=1))
    outcome, _ = run.train()
    x = digits.normalize(digits.test.images)
    assert run.net.eval().run(x, 0, 1).unique().numel() > 1000
    assert 0 < outcome.test_accuracy <= 1
