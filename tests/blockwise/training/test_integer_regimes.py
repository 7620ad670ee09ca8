"""Training on integers alone, through the loop that all regimes share."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiers import quick, shown, tiered
from torch.utils._python_dispatch import TorchDispatchMode

from blockwise import models
from blockwise.data import Dataset, load
from blockwise.integer.accumulate import in_exact_float
from blockwise.integer.arithmetics import arithmetic_of
from blockwise.integer.layers import weighted, weights_of
from blockwise.integer.net import IntegerNet
from blockwise.integer.xorshift import Xorshift32
from blockwise.nets.anatomy import Anatomy, describe
from blockwise.nets.blocks import BlockNet
from blockwise.training import INTEGER_REGIMES, Run, TrainOptions
from blockwise.training.digest import StepLog, digest
from blockwise.training.numerics import IntegerNumerics
from blockwise.training.options import Silent
from blockwise.training.outcome import Epoch, Training
from devices.errors import InputError
from devices.program.categories import OPTIMIZER_STATE
from devices.program.regimes import Step, find, schedule

pytestmark = pytest.mark.slow

BY_ERRORS = [name for name in INTEGER_REGIMES if not find(name).perturbs]
"""Regimes whose weights all step by errors that go back."""
OPTIONS = TrainOptions(4, 32, "sgd", 0.1, True, seed=3, digest=True)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits", seed=0)


@pytest.fixture(scope="module")
def few(digits: Dataset) -> Dataset:
    """Ten steps an epoch."""
    return replace(digits, train=digits.train.select(torch.arange(320)))


def build(regime: str, model: str = "plain4", head: str = "pred-pooled", norm: str = "batch") -> IntegerNet:
    torch.manual_seed(0)
    chain = models.build(model, (1, 8, 8), 10, 8, norm)
    groups = Anatomy(chain, head).cut("layers", Step())
    return IntegerNet(BlockNet(chain, groups, head), arithmetic_of(regime), seed=1)


def train(data: Dataset, regime: str, options: TrainOptions = OPTIONS) -> Training:
    return Run(build(regime), data, INTEGER_REGIMES[regime], options).train()[0]


class FloatsSeen(TorchDispatchMode):
    """Collects the operations on, or into, floating-point tensors outside of the exact sums."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.count += 1
        leaves = torch.utils._pytree.tree_leaves((args, kwargs, result))
        if not in_exact_float() and any(
            isinstance(leaf, torch.Tensor) and leaf.dtype.is_floating_point for leaf in leaves
        ):
            self.found.add(str(func))
        return result


@pytest.mark.parametrize("regime", INTEGER_REGIMES)
def test_no_float_tensor_exists_in_a_step(digits, regime):
    net = build(regime).train()
    step, phase = INTEGER_REGIMES[regime], INTEGER_REGIMES[regime].phases(net)[0]
    x, y = digits.train.images[:32], digits.train.labels[:32]
    updater = IntegerNumerics().updater(net, OPTIONS, regime)
    updater.set_progress(0, 10)
    before = [w.clone() for w in weights_of(net)]
    with FloatsSeen() as seen:
        step.step(net, phase, x, y)
        updater.finish_step()
    assert seen.count > 100 and not seen.found
    assert any(not torch.equal(old, new) for old, new in zip(before, weights_of(net), strict=True))
    assert all(not b.dtype.is_floating_point for b in net.buffers()) and not list(net.parameters())


@pytest.mark.parametrize("regime", [r for r in INTEGER_REGIMES if r.endswith("-local")])
def test_nothing_crosses_a_block(digits, regime):
    """A block steps alike whatever the heads behind it say."""
    x, y = digits.train.images[:32], digits.train.labels[:32]
    nets = [build(regime).train() for _ in range(2)]
    with torch.no_grad():
        for weight in weights_of(nets[1].heads[1:]) + weights_of(nets[1].bodies[2:]):
            weight.neg_()
    for net in nets:
        INTEGER_REGIMES[regime].step(net, INTEGER_REGIMES[regime].phases(net)[0], x, y)
    first, second = (weights_of(net.bodies[:1]) + weights_of(net.heads[:1]) for net in nets)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(weights_of(nets[0].bodies[1])[0], weights_of(nets[1].bodies[1])[0])


def scrambled(net: IntegerNet, first: int, step: int) -> None:
    """Other weights, hence other gradients, from block ``first`` on; all 0, which draw nothing, too."""
    rng = Xorshift32(step, stream=first)
    for weight in weights_of(net.bodies[first:]) + weights_of(net.heads[first:]):
        weight.copy_((rng.uniform(weight.numel(), 15) - 7).view(weight.shape) * (step % 2))


@pytest.mark.parametrize("first", quick([1, 2, 3], 2))
@pytest.mark.parametrize("regime", [r for r in INTEGER_REGIMES if r.endswith("-local")])
def test_earlier_blocks_end_with_the_same_bits_whatever_later_ones_do(digits, regime, first):
    nets, step = [build(regime).train() for _ in range(2)], INTEGER_REGIMES[regime]
    for count in range(6):
        x, y = (part[32 * count : 32 * count + 32] for part in (digits.train.images, digits.train.labels))
        scrambled(nets[1], first, count)
        for net in nets:
            step.step(net, step.phases(net)[0], x, y)
    for part in ("bodies", "heads"):
        kept, other = (getattr(net, part)[:first].state_dict() for net in nets)
        assert kept and all(torch.equal(kept[name], other[name]) for name in kept)
    assert digest(weights_of(nets[0].bodies[first:])) != digest(weights_of(nets[1].bodies[first:]))
    fresh = build(regime).bodies[:first]
    assert digest(weights_of(fresh)) != digest(weights_of(nets[0].bodies[:first]))


@pytest.mark.parametrize("regime", ["niti4-jump", "niti4-jump-local"])
def test_the_plan_counts_the_generators_that_steps_draw_from(digits, regime):
    net, step = build(regime).train(), INTEGER_REGIMES[regime]
    before = [int(layer.random_state) for layer in weighted(net)]
    step.step(net, step.phases(net)[0], digits.train.images[:32], digits.train.labels[:32])
    moved = sum(a != int(layer.random_state) for a, layer in zip(before, weighted(net), strict=True))
    chain = models.build("plain4", (1, 8, 8), 10, 8, "batch")
    plan = schedule(regime, describe(chain, "layers", "pred-pooled"), Step(32)).tensors.values()
    assert moved == sum(t.category == OPTIMIZER_STATE for t in plan) > 0


@pytest.mark.parametrize("regime", [r for r in BY_ERRORS if not find(r).heads])
def test_globally_the_error_reaches_the_first_layer(digits, regime):
    x, y = digits.train.images[:32], digits.train.labels[:32]
    nets = [build(regime).train() for _ in range(2)]
    weights_of(nets[1].bodies)[-1].neg_()
    for net in nets:
        INTEGER_REGIMES[regime].step(net, INTEGER_REGIMES[regime].phases(net)[0], x, y)
    assert not torch.equal(weights_of(nets[0])[0], weights_of(nets[1])[0])


@pytest.mark.parametrize(
    "regime", tiered((r for r in BY_ERRORS if r != "nitro-local"), ("niti",), ("niti4-jump-local",))
)
def test_every_regime_learns_the_digits(digits, regime):
    found = train(digits, regime)
    assert found.test_accuracy > 0.8
    assert found.history[-1].train_loss < found.history[0].train_loss


@pytest.mark.parametrize(
    ("regime", "checksum"),
    [
        ("niti-local", "823eeafe"),
        ("niti4-jump", "a1a4d69c"),
        ("niti4-jump-local", "6f22f7b8"),
        ("nitro-local", "b680a371"),
    ],
)
def test_images_and_labels_from_the_shared_generator_end_with_the_recorded_bits(regime, checksum):
    """What any other implementation must reach: 40 steps of 16 images of noise."""
    net, rng, step = build(regime).train(), Xorshift32(7), INTEGER_REGIMES[regime]
    for _ in range(40):
        pixels = rng.uniform(16 * 64, 256).to(torch.uint8).view(16, 1, 8, 8)
        labels = rng.uniform(16, 10).long()
        step.step(net, step.phases(net)[0], pixels, labels)
    assert digest(weights_of(net)) == checksum


@pytest.mark.parametrize(
    ("regime", "checksum"), [("niti4-jump", "b1591800"), ("niti4-jump-local", "cee65293")]
)
def test_so_they_do_where_states_jump_once_in_four_batches(regime, checksum):
    net, rng, step = build(regime).train(), Xorshift32(7), INTEGER_REGIMES[regime]
    updater = IntegerNumerics().updater(net, replace(OPTIONS, jump_every=4), regime)
    for _ in range(40):
        pixels = rng.uniform(16 * 64, 256).to(torch.uint8).view(16, 1, 8, 8)
        labels = rng.uniform(16, 10).long()
        step.step(net, step.phases(net)[0], pixels, labels)
        updater.finish_step()
    assert digest(weights_of(net)) == checksum


@pytest.mark.slow
def test_the_blocks_of_nitro_learn_one_after_the_other(digits):
    """Its first sums are divided to 0: a block has nothing to learn from until the one before it has."""
    found = train(digits, "nitro-local", replace(OPTIONS, mu=7))
    first, second, _, last = found.block_accuracies.values()
    assert first > 0.9 and second > 0.8 and last < 0.3


class Interrupting(Silent):
    """Ctrl-C after the second epoch."""

    def epoch(self, regime: str, epoch: Epoch) -> None:
        if epoch.epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize(
    ("regime", "jump_every"),
    shown(
        [("niti", 1), ("niti4-jump-local", 1), ("niti4-jump-local", 4)], ("niti4-jump-local", 4), spread=True
    ),
)
def test_a_resumed_run_ends_with_the_same_digests_at_every_step(few, tmp_path, regime, jump_every):
    """Of ten batches an epoch two wait for others at its end."""

    def told(name: str) -> TrainOptions:
        path: Path = tmp_path / name
        return replace(
            OPTIONS, checkpoint=path.with_suffix(".pt"), digest_log=path.with_suffix(".digests"),
            fingerprint="f", jump_every=jump_every,
        )  # fmt: skip

    whole = train(few, regime, told("whole"))
    with pytest.raises(KeyboardInterrupt):
        train(few, regime, replace(told("parts"), watcher=Interrupting))
    parts = train(few, regime, told("parts"))
    assert parts.digest == whole.digest and len(whole.digest or "") == 8
    log = (tmp_path / "whole.digests").read_text()
    assert (tmp_path / "parts.digests").read_text() == log
    assert log.count("\n") == 4 * (len(few.train) // 32)


def test_digests_that_end_before_the_checkpoint_are_refused(tmp_path):
    (tmp_path / "digests").write_text("1 00000000\n2 11111111\n")
    with pytest.raises(InputError, match="got 2 lines, wanted those of 3 steps so far"):
        StepLog(tmp_path / "digests", 3)


def test_what_waits_is_restored_beside_the_weights_wherever_it_was_kept():
    """Checkpoints are read into the memory of the processor; weights may be on an accelerator."""
    net = build("niti4-jump-local")
    told = replace(OPTIONS, jump_every=4)
    made = IntegerNumerics().updater(net, told, "niti4-jump-local")
    images, labels = torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1])
    step = INTEGER_REGIMES["niti4-jump-local"]
    step.step(net.train(), step.phases(net)[0], images, labels)
    made.finish_step()
    kept = made.state_dict()
    elsewhere = IntegerNumerics().updater(net.to("meta"), told, "niti4-jump-local")
    elsewhere.load_state_dict(kept)
    assert elsewhere.state_dict()[0]["waiting"] == 1
    assert {sums.device.type for sums in elsewhere.tensors()} == {"meta"}
    assert {sums.device.type for sums in kept[0]["sums"]} == {"cpu"}


class InTheSecondBlock(Silent):
    """Ctrl-C there, after its first epoch."""

    def epoch(self, regime: str, epoch: Epoch) -> None:
        if epoch.block == "conv2":
            raise KeyboardInterrupt


def test_so_does_one_that_trains_a_block_after_the_other(few, tmp_path):
    told = replace(OPTIONS, epochs=2, jump_every=4)
    kept = replace(told, checkpoint=tmp_path / "a.pt", fingerprint="f")
    whole = train(few, "niti4-jump-resident", told)
    with pytest.raises(KeyboardInterrupt):
        train(few, "niti4-jump-resident", replace(kept, watcher=InTheSecondBlock))
    parts = train(few, "niti4-jump-resident", kept)
    assert parts.digest == whole.digest is not None
    assert [epoch.block for epoch in whole.history] == [f"conv{1 + n // 2}" for n in range(8)]
    assert whole.block_accuracies["conv2"] > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("regime", shown(["niti-local", "niti4-jump"], "niti4-jump"))
def test_one_and_two_threads_end_with_the_same_bits(few, regime):
    threads = torch.get_num_threads()
    found = set()
    for count in (1, 2):
        torch.set_num_threads(count)
        found.add(train(few, regime, replace(OPTIONS, epochs=1)).digest)
    torch.set_num_threads(threads)
    assert len(found) == 1


def test_the_rate_in_bits_falls_after_a_half_and_three_quarters(digits):
    run = Run(build("niti"), digits, INTEGER_REGIMES["niti"], OPTIONS)
    updater = run.numerics.updater(run.net, OPTIONS, "niti")
    seen = []
    for done in (0, 49, 50, 74, 75, 99):
        updater.set_progress(done, 100)
        seen.append(run.net.mu)
    assert seen == [5, 5, 4, 4, 3, 3]


def test_a_layer_without_integer_form_is_refused():
    with pytest.raises(InputError, match="BatchNorm2d"):
        build("niti", model="cnn")
