"""Incremental quantization: the levels of Zhou et al. 2017, and frozen weights that nothing moves."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from blockwise import models, quant
from blockwise.data import Dataset, load
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.quant.layers import QuantConv2d, QuantLinear
from blockwise.quant.methods.inq import SHARES
from blockwise.training import REGIMES, Run, TrainOptions
from blockwise.training.options import Silent
from blockwise.training.outcome import Epoch
from blockwise.training.updater import Updater
from devices.program.regimes import Step

BITS = quant.method("inq").weight_bits
STAGES = quant.scheme("inq").stages


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def levels(largest: float, bits: int) -> list[float]:
    """0 and 2^n2 .. 2^n1, by the formulas of section 2.1."""
    n1 = math.floor(math.log2(4 * largest / 3))
    n2 = n1 + 1 - 2 ** (bits - 1) // 2
    return [0.0, *(2.0**n for n in range(n2, n1 + 1))]


def by_hand(v: float, largest: float, bits: int) -> float:
    """Equation 4: b sgn(v) for neighbours a < b where (a + b)/2 <= |v| < 3b/2, else 0."""
    for a, b in itertools.pairwise(levels(largest, bits)):
        if (a + b) / 2 <= abs(v) < 3 * b / 2:
            return math.copysign(b, v)
    return 0.0


@pytest.mark.parametrize("bits", BITS)
def test_values_are_the_papers(bits):
    x = normal(400)
    y = quant.make("inq", bits, "weight", (400,)).double()(x)
    largest = x.abs().max().item()
    assert y.tolist() == [by_hand(v, largest, bits) for v in x.tolist()]


def test_values_by_hand():
    """max|w| = 1.4: n1 = floor(log2 1.87) = 0; three bits have 0, 1/2 and 1."""
    x = torch.tensor([1.4, -1.4, 0.75, 0.74, 0.25, 0.24, -0.25, -0.24, 0.0])
    expected = [1, -1, 1, 0.5, 0.5, 0, -0.5, 0, 0]
    quantizer = quant.make("inq", 3, "weight", (9,))
    assert quantizer(x).tolist() == expected
    assert quantizer.codes(x).tolist() == [4, 0, 4, 3, 3, 2, 1, 2, 2]


@pytest.mark.parametrize("bits", BITS)
def test_the_levels_are_two_to_the_bits_less_one_powers_of_both_signs_and_zero(bits):
    x = torch.linspace(-1, 1, 100_001, dtype=torch.float64)
    y = quant.make("inq", bits, "weight", tuple(x.shape)).double()(x).unique().tolist()
    positive = levels(1.0, bits)[1:]
    assert y == [*(-p for p in reversed(positive)), 0, *positive]
    assert len(y) == 2 ** (bits - 1) + 1


# ------------------------------------------------------------------ stages


def entered(stage: int, x: torch.Tensor, quantizer: quant.Quantizer | None = None) -> quant.Quantizer:
    """The quantizer in the given stage, which it enters when it sees ``x``."""
    quantizer = quantizer or quant.make("inq", 3, "weight", tuple(x.shape)).double()
    quantizer.enter(stage, len(SHARES))
    quantizer(x)
    return quantizer


@pytest.mark.parametrize(("stage", "share"), list(enumerate(SHARES)))
def test_each_stage_quantizes_its_share_of_the_largest_and_leaves_the_rest_in_float(stage, share):
    x = normal(4, 5, 5)
    quantizer = entered(stage, x)
    frozen = quantizer.frozen > 0
    assert frozen.sum() == round(100 * share)
    if 0 < share < 1:
        assert x[frozen].abs().min() > x[~frozen].abs().max()
    y = quantizer(x)
    whole = quant.make("inq", 3, "weight", (4, 5, 5)).double()(x)
    assert torch.equal(y[frozen], whole[frozen])
    assert torch.equal(y[~frozen], x[~frozen])


def test_frozen_weights_get_no_gradient_and_the_others_all_of_it():
    x, upstream = normal(4, 5, 5), normal(4, 5, 5, seed=1)
    quantizer = entered(1, x)
    leaf = x.clone().requires_grad_()
    quantizer(leaf).backward(upstream)
    assert torch.equal(leaf.grad, torch.where(quantizer.frozen > 0, 0, upstream))


def test_in_the_last_stage_no_weight_has_a_gradient():
    x = normal(4, 5).requires_grad_()
    entered(4, x)(x).sum().backward()
    assert not x.grad.any()


def test_alone_and_in_a_training_without_stages_the_gradient_passes_and_nothing_is_frozen():
    x, upstream = normal(4, 5).requires_grad_(), normal(4, 5, seed=1)
    quantizer = quant.make("inq", 3, "weight", (4, 5)).double()
    quantizer.enter(0, 1)
    quantizer(x).backward(upstream)
    assert torch.equal(x.grad, upstream)
    assert not quantizer.frozen.any()


def test_later_stages_freeze_more_and_move_none_that_is_frozen():
    """Between two stages the free weights change, and grow beyond the frozen ones."""
    x = normal(4, 25)
    quantizer = entered(1, x)
    first, value, top = quantizer.frozen.clone(), quantizer(x), quantizer.top.clone()
    x = torch.where(first > 0, x, 30 * normal(4, 25, seed=1))
    entered(2, x, quantizer)
    assert torch.equal(quantizer.frozen[first > 0], first[first > 0])
    assert torch.equal(quantizer(x)[first > 0], value[first > 0])
    assert (quantizer.frozen > 0).sum() == 75
    assert quantizer.top == top
    assert quantizer(x)[quantizer.frozen > 0].abs().max() == top


def test_the_levels_are_those_of_the_weights_when_the_first_are_frozen():
    """Not of the first weights seen: the network trains in float before."""
    x = normal(4, 25)
    quantizer = entered(0, x)
    entered(1, 8 * x, quantizer)
    assert quantizer.top == 8 * quant.make("inq", 3).double()(x).abs().max()


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd-momentum", "adam"])
def test_momentum_and_decay_cannot_move_a_frozen_weight(optimizer, fused):
    """The pitfall: a zero gradient alone leaves both at work."""
    torch.manual_seed(0)
    linear = torch.nn.Linear(6, 4, bias=False)
    layer = QuantLinear(linear, quant.make("inq", 3, "weight", (4, 6)), None)
    updater = Updater(layer.parameters(), optimizer, fused=fused, rules=quant.ParameterRules.of(layer))
    updater.set_learning_rate(0.1)
    layer.weight_quantizer.enter(0, 5)

    def step() -> None:
        layer(torch.randn(8, 6)).square().mean().backward()
        updater.finish_step()

    step()
    layer.weight_quantizer.enter(1, 5)
    step()
    frozen, values = layer.weight_quantizer.frozen > 0, layer.weight.detach().clone()
    for _ in range(3):
        step()
        assert torch.equal(layer.weight[frozen], values[frozen])
        assert (layer.weight[~frozen] != values[~frozen]).all()
    assert set(layer.weight[frozen].abs().unique().log2().frac().tolist()) <= {0}


def test_another_width_forgets_the_codes_of_the_old_one():
    x = normal(4, 5)
    quantizer = entered(1, x)
    quantizer.set_bits(4)
    assert not quantizer.frozen.any()
    quantizer(x)
    assert (quantizer.frozen > 0).sum() == 10


# ---------------------------------------------------------------- training

EPOCHS = 5  # one to a stage


class Observing(Silent):
    """Keeps the frozen weights and their values after every epoch; may interrupt after one."""

    def __init__(self, net: BlockNet, stop: int = 0) -> None:
        self.net, self.stop = net, stop
        self.seen: list[list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]] = []

    def epoch(self, regime: str, epoch: Epoch) -> None:
        layers = [m for m in self.net.modules() if isinstance(m, QuantConv2d | QuantLinear)]
        self.seen.append(
            [
                (m.weight_quantizer.frozen > 0, m.weight.detach().clone(), m.weight_quantizer(m.weight))
                for m in layers
            ]
        )
        if len(self.seen) == self.stop:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def digits() -> Dataset:
    full = load("digits", seed=0)
    return replace(full, train=full.train.select(torch.arange(96)), test=full.test.select(torch.arange(96)))


def train(
    data: Dataset, path: Path, regime: str = "bp", stop: int = 0, *, fused: bool = False
) -> tuple[Run, Observing]:
    torch.manual_seed(0)
    chain = models.build("cnn", (1, 8, 8), 10, 4)
    groups = Anatomy(chain, "gap").cut("layers", Step())
    net = BlockNet(quant.quantize(chain, "inq", 3, 3), groups, "gap")
    watcher = Observing(net, stop)
    told = TrainOptions(
        EPOCHS, 16, "sgd-momentum", 0.05, fused, seed=5, stages=STAGES, checkpoint=path, fingerprint="f",
        watcher=lambda: watcher,
    )  # fmt: skip
    run = Run(net, data, REGIMES[regime], told)
    if stop:
        with pytest.raises(KeyboardInterrupt):
            run.train()
    else:
        run.train()
    return run, watcher


def state(path: Path) -> dict[str, dict[str, torch.Tensor]]:
    return torch.load(path, weights_only=True)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("regime", "fused"), [("bp", False), ("bp-checkpoint", True), ("local", True)])
def test_in_a_training_frozen_weights_never_move_and_all_are_frozen_in_the_end(
    digits, tmp_path, regime, fused
):
    run, watcher = train(digits, tmp_path / "run.pt", regime, fused=fused)
    for share, epoch in zip(SHARES, watcher.seen, strict=True):
        for frozen, latent, value in epoch:
            assert frozen.sum() == round(share * frozen.numel())
            assert torch.equal(latent, value)
    for before, after in itertools.pairwise(watcher.seen):
        for (frozen, value, _), (_, later, _) in zip(before, after, strict=True):
            assert torch.equal(value[frozen], later[frozen])
    assert run.progress.best_epoch == EPOCHS


def test_a_block_trained_alone_passes_through_all_stages(digits, tmp_path):
    run, watcher = train(digits, tmp_path / "run.pt", "local-resident")
    assert len(watcher.seen) == EPOCHS * len(run.phases)
    assert all(frozen.all() for frozen, _, _ in watcher.seen[-1])
    for module in run.net.modules():
        if isinstance(module, QuantConv2d | QuantLinear):
            packed = quant.pack(module.weight_quantizer, module.weight)
            assert torch.equal(quant.unpack(type(module.weight_quantizer), packed), module.weight)


@pytest.mark.slow
@pytest.mark.parametrize(("regime", "stop"), [("bp", 1), ("bp", 3), ("bp", 5), ("local-resident", 7)])
def test_a_training_resumed_in_any_stage_ends_with_the_same_bits(digits, tmp_path, regime, stop):
    train(digits, tmp_path / "whole.pt", regime)
    train(digits, tmp_path / "parts.pt", regime, stop)
    train(digits, tmp_path / "parts.pt", regime)
    ours, reference = state(tmp_path / "parts.pt"), state(tmp_path / "whole.pt")
    for group in ("net", "best"):
        assert ours[group].keys() == reference[group].keys()
        assert all(ours[group][name].equal(tensor) for name, tensor in reference[group].items())
