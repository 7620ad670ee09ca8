"""Training against outside references: plain autograd, torch.optim, and each other."""

import copy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from small_cnn import OPTIONS, build, same
from tiers import VARIED, quick, tiered
from torch.nn import functional as F

from blockwise import models, quant
from blockwise.data import Dataset, Split, batches
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.training import REGIMES, Run, TrainOptions, make_regime, segments, selection
from blockwise.training.schedules import one_cycle
from blockwise.training.updater import WEIGHT_DECAY, Updater
from devices.errors import InputError
from devices.program.regimes import Step, find

pytestmark = pytest.mark.slow


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


@pytest.mark.parametrize("method", tiered(quant.METHODS, ("lsq", "lq-net", "bnn"), VARIED))
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
    whole = segments.backpropagate([segments.ModuleSegment(plain, False)], plain.heads[-1], x, y)
    chosen = [segments.ModuleSegment(body, flag) for body, flag in zip(parts.bodies, again, strict=True)]
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


def test_the_last_block_may_be_trained_longer_by_a_schedule_of_its_own_and_counts_so_much_more_work(digits):
    told = replace(OPTIONS, epochs=1, last_epochs=3)
    longer, as_long = (build(head="gap") for _ in range(2))
    outcome, _ = Run(longer, digits, REGIMES["local-resident"], told).train()
    assert [(epoch.block, epoch.epoch) for epoch in outcome.history] == [
        *((name, 1) for name in longer.names[:-1]), *((longer.names[-1], epoch) for epoch in (1, 2, 3))
    ]  # fmt: skip
    Run(as_long, digits, REGIMES["local-resident"], replace(told, last_epochs=None)).train()
    assert same(longer.bodies[:-1].state_dict(), as_long.bodies[:-1].state_dict())
    assert outcome.last_steps == 3 * outcome.steps == 3 * (len(digits.train) // told.batch_size)
    assert outcome.macs(100, 40) == outcome.steps * (60 + 3 * 40)
    together, _ = Run(build(head="gap"), digits, REGIMES["local"], told).train()
    assert (together.last_epochs, len(together.history)) == (None, 1)


def test_the_best_epoch_is_the_one_that_is_best_on_validation_data_and_the_test_set_is_read_once(
    digits, monkeypatch
):
    scores = iter([0.3, 0.9, 0.9, 0.5])
    tested: list[Split] = []
    real = selection.evaluate

    def evaluate(net, split, heads, normalize, device):
        found = real(net, split, heads, normalize, device)
        if len(split) == len(digits.test):
            tested.append(split)
            return found
        return replace(found, accuracies=dict.fromkeys(found.accuracies, next(scores)))

    monkeypatch.setattr(selection, "evaluate", evaluate)
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


@pytest.mark.parametrize("method", quick(["lsq", "dorefa", "bnn", "lq-net"], "dorefa"))
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
