"""An interrupted and resumed run ends with the bits of an uninterrupted one, in every regime."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from tiers import quick, shown

from blockwise import models, quant
from blockwise.data import Dataset, load
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.training import REGIMES, Run, TrainOptions
from blockwise.training.local import LocalLearning
from blockwise.training.options import Silent
from blockwise.training.outcome import Epoch, Training
from devices.errors import InputError
from devices.program.distillation import Distillation
from devices.program.regimes import Step, update_of

pytestmark = pytest.mark.slow

EPOCHS = 3
OPTIMIZERS = ("sgd-momentum", "adam")


class Interrupting(Silent):
    """Ctrl-C after so many epochs, counted over all phases."""

    def __init__(self, after: int) -> None:
        self.left = after

    def epoch(self, regime: str, epoch: Epoch) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def digits() -> Dataset:
    full = load("digits", seed=0)
    part = torch.arange(96)
    return replace(full, train=full.train.select(part), test=full.test.select(part))


def build(head: str = "lookahead:4", method: str = "lsq") -> BlockNet:
    torch.manual_seed(0)
    chain = models.build("cnn", (1, 8, 8), 10, 4)
    groups = Anatomy(chain, head).cut("layers", Step())
    return BlockNet(quant.quantize(chain, method), groups, head)


def options(regime: str, path: Path, optimizer: str) -> TrainOptions:
    fused = update_of(regime) == "fused"
    return TrainOptions(EPOCHS, 16, optimizer, 0.02, fused, seed=5, checkpoint=path, fingerprint="f")


def train(
    data: Dataset, regime: str, told: TrainOptions, stops: tuple[int, ...] = (), method: str = "lsq",
    head: str = "lookahead:4",
) -> Training:  # fmt: skip
    """Train to the end, interrupted and resumed after each of ``stops`` further epochs."""
    for after in stops:
        watcher, net = Interrupting(after), build(head, method)
        with pytest.raises(KeyboardInterrupt):
            Run(net, data, REGIMES[regime], replace(told, watcher=lambda w=watcher: w)).train()
    return Run(build(head, method), data, REGIMES[regime], told).train()[0]


@pytest.fixture(scope="module")
def uninterrupted(digits, tmp_path_factory):
    """What a training that nothing interrupts ends with, and its checkpoint: each trained once."""
    folder = tmp_path_factory.mktemp("whole")

    @cache
    def whole(regime: str, optimizer: str, method: str) -> tuple[Training, dict[str, object]]:
        path = folder / f"{regime}-{optimizer}-{method}.pt"
        return train(digits, regime, options(regime, path, optimizer), method=method), state(path)

    return whole


def state(path: Path) -> dict[str, object]:
    return torch.load(path, weights_only=True)  # type: ignore[no-any-return]


# Block-resident training has 3 blocks of 3 epochs: 1, 3 and 9 are the ends of an epoch, of a block and
# of the run, 4 and 5 lie in the middle block.
STOPS = {
    "bp": ((1, 1), (1,), (3,)),
    "bp-checkpoint": ((1,), (1, 1), (3,)),
    "local": ((1,), (1, 1), (3,)),
    "local-resident": ((4,), (1,), (3,), (5,), (9,), (2, 3, 1)),
}
CASES = [(regime, stops, name) for regime in STOPS for stops in STOPS[regime] for name in OPTIMIZERS]
SHOWN = [case for case in CASES if case[2] == "adam" and case[1] in STOPS[case[0]][:3]]


def test_so_it_does_where_the_last_block_has_epochs_of_its_own(digits, tmp_path):
    whole, parts = (options("local-resident", tmp_path / name, "adam") for name in ("whole.pt", "parts.pt"))
    train(digits, "local-resident", replace(whole, epochs=1, last_epochs=4))
    train(digits, "local-resident", replace(parts, epochs=1, last_epochs=4), (2, 3))
    ours, reference = state(tmp_path / "parts.pt"), state(tmp_path / "whole.pt")
    assert all(ours["net"][name].equal(tensor) for name, tensor in reference["net"].items())
    assert len(ours["progress"]["history"]) == 2 + 4


def test_so_it_does_where_the_last_block_teaches_and_others_skip_steps_by_chance(
    digits, tmp_path, monkeypatch
):
    monkeypatch.setitem(REGIMES, "local", LocalLearning("local", Distillation(3.0, 0.3), 0.5))
    whole, parts = (options("local", tmp_path / name, "adam") for name in ("whole.pt", "parts.pt"))
    train(digits, "local", whole)
    train(digits, "local", parts, (1, 1))
    ours, reference = state(tmp_path / "parts.pt"), state(tmp_path / "whole.pt")
    assert all(ours["net"][name].equal(tensor) for name, tensor in reference["net"].items())


@pytest.mark.parametrize(
    ("regime", "stops", "optimizer"),
    shown(CASES, *SHOWN, spread=True),
)
def test_a_resumed_run_ends_with_the_bits_of_an_uninterrupted_one(
    digits, uninterrupted, tmp_path, regime, stops, optimizer
):
    whole, reference = uninterrupted(regime, optimizer, "lsq")
    parts = train(digits, regime, options(regime, tmp_path / "parts.pt", optimizer), stops)
    ours = state(tmp_path / "parts.pt")
    for group in ("net", "best"):
        assert ours[group].keys() == reference[group].keys()
        assert all(ours[group][name].equal(tensor) for name, tensor in reference[group].items())
    assert parts.test_accuracy == whole.test_accuracy
    assert parts.block_accuracies == whole.block_accuracies
    assert [(e.block, e.epoch, e.train_loss, e.validation_accuracy) for e in parts.history] == [
        (e.block, e.epoch, e.train_loss, e.validation_accuracy) for e in whole.history
    ]


@pytest.mark.parametrize("method", quick(quant.METHODS, "quant-noise"))
@pytest.mark.parametrize("regime", ["bp-checkpoint", "local-resident"])
@pytest.mark.slow
@pytest.mark.long
def test_every_method_goes_on_from_where_it_was(digits, uninterrupted, tmp_path, regime, method):
    """What follows the data, and what noise comes next, is in the checkpoint."""
    _, reference = uninterrupted(regime, "sgd", method)
    train(digits, regime, options(regime, tmp_path / "parts.pt", "sgd"), (1, 1), method=method)
    ours = state(tmp_path / "parts.pt")
    assert all(ours["net"][name].equal(tensor) for name, tensor in reference["net"].items())


@pytest.mark.parametrize("method", ["lsq", "lq-net"])
def test_so_it_does_under_heads_that_read_weights_whose_levels_follow(digits, tmp_path, method):
    ends = []
    for name, stops in (("whole.pt", ()), ("parts.pt", (1, 1))):
        told = options("local", tmp_path / name, "sgd")
        train(digits, "local", told, stops, method, "lookahead-shared:4")
        ends.append(state(tmp_path / name)["net"])
    whole, parts = ends
    assert all(parts[name].equal(tensor) for name, tensor in whole.items())


def test_a_finished_run_is_not_trained_again(digits, tmp_path):
    told = options("bp", tmp_path / "bp.pt", "sgd")
    first = train(digits, "bp", told)
    assert train(digits, "bp", replace(told, watcher=lambda: Interrupting(1))) == first


def test_a_checkpoint_of_another_configuration_is_refused_and_kept(digits, tmp_path):
    told = options("bp", tmp_path / "bp.pt", "sgd")
    train(digits, "bp", told)
    before = (tmp_path / "bp.pt").read_bytes()
    with pytest.raises(InputError, match="another configuration"):
        train(digits, "bp", replace(told, fingerprint="g"))
    assert (tmp_path / "bp.pt").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"torn", b"PK\x03\x04" + bytes(100)])
def test_a_damaged_checkpoint_is_refused(digits, tmp_path, content):
    (tmp_path / "bp.pt").write_bytes(content)
    with pytest.raises(InputError, match="unreadable file"):
        train(digits, "bp", options("bp", tmp_path / "bp.pt", "sgd"))


def test_a_file_of_something_else_is_refused(digits, tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "bp.pt")
    with pytest.raises(InputError, match=r"bp\.pt: got a list, wanted a checkpoint"):
        train(digits, "bp", options("bp", tmp_path / "bp.pt", "sgd"))
