"""Stages of a training: bits that fall, the epoch chosen in the last one, the same bits after a resume."""

from dataclasses import replace

import pytest
import torch
from tiers import quick

from blockwise import models, quant
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.settings import NetworkSettings, QuantizationSettings, TrainingSettings
from blockwise.experiment.trainer import options_of
from blockwise.quant import Quantizer, Stages
from blockwise.quant.layers import Signed
from blockwise.training import REGIMES, Run, TrainOptions
from blockwise.training.updater import Updater
from devices.errors import InputError


def config(chain: tuple[int, ...], epochs: int, method: str = "lsq") -> Config:
    return Config(
        network=NetworkSettings("cnn", 4, blocks="2", head="gap"),
        quantization=QuantizationSettings(method, weight_bits=2, activation_bits=2, bit_chain=chain),
        training=TrainingSettings(epochs=epochs, batch_size=256),
    )


def widths(net: torch.nn.Module) -> set[int]:
    return {m.bits for m in net.modules() if isinstance(m, Quantizer)}


class Stop(Exception):
    pass


class Watch:
    """Notes the widths after each epoch, and stops after some of them."""

    def __init__(self, stop_after: int = 0) -> None:
        self.seen, self.stop_after, self.net = [], stop_after, None

    def phase(self, regime, block, batches, epochs):
        pass

    def batch(self, done):
        pass

    def epoch(self, regime, epoch):
        self.seen.append(widths(self.net))
        if len(self.seen) == self.stop_after:
            raise Stop


def train(setup: Prepared, regime: str, watch: Watch, checkpoint=None) -> tuple[torch.nn.Module, object]:
    net = setup.build()
    watch.net = net
    training = setup.config.training
    options = TrainOptions(
        training.epochs, training.batch_size, training.optimizer, 0.1, False, 0, stages=setup.config.stages,
        checkpoint=checkpoint, watcher=lambda: watch,
    )  # fmt: skip
    outcome, _ = Run(net, setup.dataset, REGIMES[regime], options).train()
    return net, outcome


def test_each_stage_has_its_share_of_the_epochs():
    stages = Stages.chain((32, 4, 1))
    assert [stages.at(epoch, 6) for epoch in range(6)] == [0, 0, 1, 1, 2, 2]
    assert stages.last == 2
    stages.check(3)
    with pytest.raises(InputError, match="--epochs: got 2, wanted at least 3"):
        stages.check(2)


def test_without_restarts_one_schedule_spans_all_stages_and_with_them_each_has_its_own():
    starts = (0.0, 0.5, 0.75)
    assert {Stages(starts).span(epoch, 8) for epoch in range(8)} == {(0, 8)}
    spans = [Stages(starts, restarts=True).span(epoch, 8) for epoch in range(8)]
    assert spans == [(0, 4)] * 4 + [(4, 6)] * 2 + [(6, 8)] * 2


def rates(method: str, epochs: int, monkeypatch) -> list[float]:
    """The learning rate of every step, as the updater is told it."""
    seen: list[float] = []
    tell = Updater.set_learning_rate
    monkeypatch.setattr(
        Updater, "set_learning_rate", lambda self, rate: (seen.append(rate), tell(self, rate))
    )
    setup = prepare(config((), epochs, method))
    train(setup, "bp", Watch())
    return seen


def test_inq_trains_in_float_and_after_each_freezing_through_a_whole_schedule(monkeypatch):
    """5 epochs, 5 stages of 5 steps: up over a fifth, down to the end, read in the middle of each step."""
    seen = rates("inq", 5, monkeypatch)
    stage = [0.1 * r for r in (0.5, 0.875, 0.625, 0.375, 0.125)]
    assert seen == pytest.approx(5 * stage)
    assert rates("lsq", 1, monkeypatch) == pytest.approx(stage)


def test_integer_regimes_know_no_stages_of_quantizers():
    regimes = ("bp", "niti")
    setup = Prepared(replace(config((), 5, "inq"), training=TrainingSettings(regimes, 5)), None, None)
    assert options_of(setup, "bp").stages.last == 4
    assert options_of(setup, "niti").stages == quant.ONE_STAGE


def test_bits_fall_and_only_the_last_stage_can_be_chosen():
    setup, watch = prepare(config((32, 4, 1), 3)), Watch()
    net, outcome = train(setup, "bp", watch)
    assert watch.seen == [{32}, {8, 4}, {8, 2}]  # first and last layer at 8 bits, as LSQ has them
    assert outcome.best_epoch == 3
    assert widths(net) == {8, 2}


@pytest.mark.parametrize("regime", ["bp", "local-resident"])
@pytest.mark.parametrize("stop", quick([1, 2, 3], 2))
def test_a_training_stopped_in_any_stage_ends_with_the_bits_of_one_that_was_not(regime, stop, tmp_path):
    setup = prepare(config((32, 1), 2))
    whole, _ = train(setup, regime, Watch())
    with pytest.raises(Stop):
        train(setup, regime, Watch(stop), tmp_path / "state.pt")
        raise Stop  # bp has but two epochs
    resumed, _ = train(setup, regime, Watch(), tmp_path / "state.pt")
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_at_32_bits_weights_pass_as_they_are_and_activations_through_a_relu():
    for name in ("lsq", "dorefa"):
        for role in ("weight", "activation"):
            quantizer, x = quant.make(name, 2, role), torch.randn(5, 4)
            quantizer.set_bits(32)
            assert torch.equal(quantizer(x), x if role == "weight" else x.relu())
            quantizer.set_bits(2)
            assert quantizer(x).unique().numel() <= 4


@pytest.mark.parametrize(
    ("chain", "message"),
    [((4, 8), "widths of 1 to 32 bits that fall"), ((64, 2), "widths of 1 to 32"), ((4, 4), "that fall")],
)
def test_a_chain_that_does_not_fall_is_refused(chain, message):
    with pytest.raises(InputError, match=message):
        config(chain, 4)


def test_the_sign_is_one_of_the_bits_of_a_chain():
    """Of mobile blocks, whose last convolutions have no activation behind them, and are read with a sign."""
    net = quant.quantize(models.build("mcunet-5fps", (3, 32, 32), 10, None), "lsq", 3, 3)
    stages = Stages.chain((32, 4, 3))
    signed = [module for module in net.modules() if isinstance(module, Signed)]
    assert signed
    for stage, bits in enumerate((32, 4, 3)):
        stages.enter(net, stage)
        found = {module.bits for module in signed}
        assert bits in found <= {bits, max(bits, 8)}  # what the classifier reads has 8 bits at the least
