"""What is trained is what is planned: one program a row, in comparisons and studies alike."""

from dataclasses import replace

import pytest
import torch

from blockwise.executors.reports import Reports
from blockwise.experiment import compare, trainer
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.settings import (
    ImageSettings,
    NetworkSettings,
    QuantizationSettings,
    TrainingSettings,
)
from blockwise.studies.jobs import Job
from blockwise.studies.lines import train
from blockwise.training import ALL_REGIMES, INTEGER_REGIMES, REGIMES, Run, TrainOptions

pytestmark = pytest.mark.slow


def config(regime: str, **training: object) -> Config:
    integer = regime in INTEGER_REGIMES
    return Config(
        network=NetworkSettings("plain4" if integer else "cnn", 4, head="pred-pooled", blocks="layers"),
        images=ImageSettings("digits"),
        quantization=QuantizationSettings("fp32" if integer else "lsq"),
        training=TrainingSettings((regime,), epochs=1, batch_size=456, **training),
    )


@pytest.mark.parametrize("update", ["auto", "end", "fused"])
@pytest.mark.parametrize("regime", ALL_REGIMES)
def test_gradients_are_applied_when_the_plan_of_the_regime_applies_them(regime, update):
    setup = prepare(config(regime, update=update))
    assert trainer.options_of(setup, regime).fused == (setup.plan(regime).update == "fused")


@pytest.mark.parametrize("regime", ["bp", "bp-best", "bp-micro", "local", "local-resident", "niti-local"])
def test_a_study_trains_the_update_order_that_it_plans_in_the_same_row(regime, tmp_path, monkeypatch):
    seen: list[TrainOptions] = []
    real = Run.train
    monkeypatch.setattr(Run, "train", lambda run: (seen.append(run.options), real(run))[1])
    told = config(regime, micro_batch=228)
    row, setup = train(Job("s", "p", told), tmp_path / "state.pt", Reports(lambda _: None), ""), prepare(told)
    assert row["update"] == setup.plan(regime).update == ("fused" if seen[0].fused else "end")
    assert row["peak_kib"] == round(setup.plan(regime).peak_bytes / 1024, 1)


@pytest.mark.parametrize("regime", REGIMES)
def test_the_order_of_updates_changes_no_bit_of_what_a_study_has_recorded(regime):
    ends = []
    for update in ("end", "fused"):
        setup = prepare(config(regime, update=update, micro_batch=57))
        run = trainer.run_of(setup, regime, trainer.options_of(setup, regime))
        run.train()
        ends.append(run.net.state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_micro_batches_are_trained_at_the_size_that_is_planned():
    setup = prepare(config("bp-micro", micro_batch=228))
    run = trainer.run_of(setup, "bp-micro", trainer.options_of(setup, "bp-micro"))
    assert run.regime.size == setup.step("bp-micro").micro_batch == 228


@pytest.mark.parametrize(
    ("compiles", "trained"),
    [
        (False, ["bp", "local"]),
        pytest.param(True, ["bp", "bp-checkpoint", "local"], marks=pytest.mark.slow),
    ],
    ids=["eager", "compiled"],
)
def test_only_what_ends_with_equal_bits_is_not_trained_again(compiles, trained, monkeypatch):
    seen: list[str] = []
    monkeypatch.setattr(compare, "_trained", lambda setup, row, *rest: (seen.append(row.regime), row)[1])
    told = config("bp", compile=compiles)
    regimes = ("bp", "bp-fused", "bp-checkpoint", "bp-best", "local", "local-paged")
    result = compare.compare(prepare(replace(told, training=replace(told.training, regimes=regimes))))
    assert seen == trained
    twins = {row.regime: row.trained_as for row in result.regimes if row.trained_as}
    assert twins == {
        name: "local" if name.startswith("local") else "bp" for name in regimes if name not in trained
    }
