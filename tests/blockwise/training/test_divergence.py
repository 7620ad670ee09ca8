"""A training whose numbers are no numbers any more is stopped there, and that is its outcome."""

import json
from dataclasses import replace
from itertools import count

import pytest
import torch

from blockwise.cli import main as cli
from blockwise.experiment import trainer
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.settings import (
    ImageSettings,
    NetworkSettings,
    QuantizationSettings,
    TrainingSettings,
)
from blockwise.integer.accumulate import SumTooLarge
from blockwise.report.verdict import divergence_words
from blockwise.studies import records, tasks
from blockwise.training import Run, selection
from blockwise.training.divergence import FirstBadLoss, Losses, first_broken
from blockwise.training.evaluate import Evaluation
from blockwise.training.outcome import Divergence, Training
from blockwise.training.schedules import one_cycle

pytestmark = pytest.mark.slow

WILD = ("--model", "mlp", "--lr", "1e9", "--epochs", "2")
BATCH, EPOCHS, PEAK = 456, 2, 0.1
STEPS = 3  # of an epoch


def run_of(regime: str, **options: object) -> Run:
    config = Config(
        network=NetworkSettings("cnn", 4, head="gap", blocks="layers"),
        images=ImageSettings("digits"),
        quantization=QuantizationSettings("fp32"),
        training=TrainingSettings((regime,), epochs=EPOCHS, batch_size=BATCH, lr=PEAK),
    )
    setup = prepare(config)
    return trainer.run_of(setup, regime, replace(trainer.options_of(setup, regime), digest=True, **options))


def spoil(run: Run, step: int, block: int, *, before: bool = True) -> None:
    """Put a NaN among the weights of a block before, or after, the step of that number, from 1, over all."""
    real, numbers = run._step, count(1)
    weight = run.net.bodies[block][0].conv.weight

    def stepped(*args, **kwargs):
        now = next(numbers) == step
        if now and before:
            weight.data[0, 0, 0, 0] = torch.nan
        found = real(*args, **kwargs)
        if now and not before:
            weight.data[0, 0, 0, 0] = torch.nan
        return found

    run._step = stepped


def rate(step: int) -> float:
    """Of the step of that number, from 1, over all."""
    return PEAK * one_cycle((step - 0.5) / (STEPS * EPOCHS))


@pytest.mark.parametrize(("regime", "block"), [("bp", ""), ("bp-checkpoint", ""), ("local", "conv2")])
@pytest.mark.parametrize("step", [1, 2, 4])
def test_the_first_loss_that_is_not_finite_stops_the_training_and_is_named(regime, block, step):
    run, steps = run_of(regime), count(1)
    spoil(run, step, 1)
    run.watcher.batch = lambda done: next(steps)
    outcome, _ = run.train()
    found = outcome.divergence
    assert next(steps) == step + 1
    assert (found.what, found.block) == ("loss", block)
    assert (found.epoch, found.step) == ((step - 1) // STEPS + 1, (step - 1) % STEPS + 1)
    assert found.learning_rate == pytest.approx(rate(step))
    assert outcome.test_accuracy is outcome.validation_accuracy is outcome.digest is None
    assert outcome.block_accuracies == {}
    assert [epoch.epoch for epoch in outcome.history] == list(range(1, found.epoch))


def test_a_block_trained_alone_names_itself_and_its_own_epoch():
    run = run_of("local-resident")
    spoil(run, STEPS * EPOCHS + 2, 1)  # the second step of the second block
    found = run.train()[0].divergence
    assert found == Divergence("loss", "conv2", 1, 2, pytest.approx(rate(2)))


@pytest.mark.parametrize("regime", ["bp", "local"])
def test_weights_that_the_last_step_of_an_epoch_leaves_broken_are_found(regime):
    run = run_of(regime)
    spoil(run, STEPS * EPOCHS, 1, before=False)
    outcome, _ = run.train()
    last = rate(STEPS * EPOCHS)
    assert outcome.divergence == Divergence("weights", "conv2", EPOCHS, STEPS, pytest.approx(last))
    assert outcome.test_accuracy is None


@pytest.mark.parametrize("split", ["validation", "test"])
def test_finite_weights_whose_evaluation_is_not_finite_give_no_accuracy(split, monkeypatch):
    run = run_of("bp")
    size = len(run.splits[split])

    def evaluate(net, part, heads, normalize, device):
        return Evaluation(dict.fromkeys(heads, 0.1), float("nan") if len(part) == size else 2.0)

    monkeypatch.setattr("blockwise.training.selection.evaluate", evaluate)
    outcome, _ = run.train()
    assert (outcome.divergence.what, outcome.divergence.step) == (f"{split} loss", None)
    assert outcome.divergence.epoch == (1 if split == "validation" else outcome.best_epoch)
    assert outcome.test_accuracy is None


@pytest.mark.parametrize("split", ["validation", "test"])
def test_sums_beyond_32_bits_in_an_evaluation_give_no_accuracy(split, monkeypatch):
    run = run_of("bp")
    size, real = len(run.splits[split]), selection.evaluate

    def evaluate(net, part, *others):
        if len(part) == size:
            raise SumTooLarge("sum", got=2**31, wanted="less", do="divide")
        return real(net, part, *others)

    monkeypatch.setattr(selection, "evaluate", evaluate)
    found = run.train()[0].divergence
    assert (found.what, found.block, found.step) == (f"{split} largest sum", "", None)


def test_sums_beyond_32_bits_end_their_own_regime_alone(here, capsys):
    """Of `nitro-local`, whose weights nothing clips; found in a step, and told so."""
    flags = ["--regimes", "nitro-local", "niti-local", "--mu", "7", "--batch-size", "256", "--epochs", "1"]
    assert cli.main(["--model", "plain4", "--width", "4", "--blocks", "layers", "--json", *flags]) == 0
    wide, narrow = json.loads(capsys.readouterr().out)["regimes"]
    found = wide["training"]["divergence"]
    assert (found["what"], found["epoch"], found["learning_rate"]) == ("largest sum", 1, None)
    assert 1 <= found["step"] <= 5  # of 1,368 images
    assert narrow["training"]["divergence"] is None and narrow["training"]["test_accuracy"] > 0.1
    words = divergence_words(Divergence(**found), Training(**wide["training"]))
    assert words == f"the largest sum was beyond 32 bits in step {found['step']} of epoch 1"


def test_a_resumed_run_has_diverged_as_before_and_is_not_trained_again(tmp_path):
    first = run_of("local", checkpoint=tmp_path / "a.pt", fingerprint="f")
    spoil(first, 4, 1)
    outcome, _ = first.train()
    again = run_of("local", checkpoint=tmp_path / "a.pt", fingerprint="f")
    again._step = lambda *args, **kwargs: pytest.fail("trained again")
    assert again.train()[0] == outcome


def test_looking_for_divergence_changes_no_bit(monkeypatch):
    ends = []
    for watched in (True, False):
        run = run_of("local")
        if not watched:
            monkeypatch.setattr(Losses, "add", lambda self, found: False)
            run._check = lambda *args: None
        ends.append(run.train()[0].digest)
    assert ends[0] == ends[1] is not None


def test_the_first_loss_is_the_first_step_and_of_that_the_first_head():
    losses, inf = Losses(), float("inf")
    stops = [losses.add(torch.tensor(row)) for row in ([1.0, 2], [3, inf], [float("nan"), 1])]
    assert stops == [False, True, True]
    assert losses.first_bad() == FirstBadLoss(step=2, head=1)
    whole = Losses()
    whole.add(torch.tensor([1.0]))
    assert whole.first_bad() is None


def test_running_statistics_count_as_weights_do_and_other_buffers_do_not():
    norms = [torch.nn.BatchNorm1d(2) for _ in range(3)]
    norms[0].register_buffer("limit", torch.tensor(float("inf")))
    assert first_broken(norms) is None
    norms[2].running_var.fill_(float("inf"))
    assert first_broken(norms) == 2


# ------------------------------------------------------------------- as a user meets it


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_where_all_regimes_diverge_the_exit_code_is_1_and_no_accuracy_is_claimed(here, capsys):
    assert cli.main([*WILD, "--regimes", "bp", "bp-best", "local", "--out", "run"]) == 1
    text = " ".join(capsys.readouterr().out.replace("\N{BOX DRAWINGS LIGHT VERTICAL}", " ").split())
    assert "bp diverged: the loss was not finite in step" in text
    assert "(peak 1e+09)" in text
    assert "best of all" not in text
    assert "Test accuracy" not in text
    assert text.count("fits diverged") == 3
    assert "same bits, trained once: bp-best as bp" in text
    found = json.loads((here / "run/result.json").read_text("utf-8"))
    for row in found["regimes"]:
        assert row["test_accuracy"] is row["training"]["test_accuracy"] is None
        assert row["training"]["divergence"]["epoch"] == 1
    assert found["regimes"][2]["training"]["divergence"]["block"].startswith("hidden")
    assert "diverged" in (here / "run/report.html").read_text("utf-8")
    assert cli.main(["--resume", "run", "--quiet"]) == 1
    err = capsys.readouterr().err.splitlines()
    assert [line.partition(" diverged")[0] for line in err] == ["blockwise: bp", "blockwise: local"]


def test_a_regime_that_diverges_leaves_the_others_their_training_and_their_claim(here, capsys, monkeypatch):
    real = Run._step

    def step(run, *args, **kwargs):
        return real(run, *args, **kwargs) * (torch.nan if run.regime.name == "local" else 1)

    monkeypatch.setattr(Run, "_step", step)
    arguments = ("--model", "mlp", "--epochs", "1", "--regimes", "local", "bp", "--json", "--out", "run")
    assert cli.main(arguments) == 0
    out, err = capsys.readouterr()
    local, bp = json.loads(out)["regimes"]
    assert local["test_accuracy"] is None and bp["test_accuracy"] > 0
    assert "blockwise: local diverged: the loss of hidden1 was not finite in step 1 of epoch 1" in err
    assert cli.main(["export", "run", "--regime", "local"]) == 2
    assert "local, which was not trained to the end" in capsys.readouterr().err


def test_a_study_records_a_diverged_run_as_that_and_trains_it_once(here, capsys, monkeypatch):
    real = Run._step
    monkeypatch.setattr(
        Run, "_step",
        lambda run, *a, **k: real(run, *a, **k) * (torch.nan if run.regime.name == "local" else 1),
    )  # fmt: skip
    study = (
        "study", "qat", "--data", "digits", "--model", "cnn", "--epochs", "1", "--methods", "lsq",
        "--regimes", "bp", "local", "--heads", "gap", "--out", "runs.jsonl",
    )  # fmt: skip
    assert cli.main(study) == 0
    out, err = capsys.readouterr()
    bp, local = records.read(here / "runs.jsonl")
    assert bp["divergence"] is None and 0 <= bp["test_error"] <= 1
    assert (local["test_error"], local["validation_error"]) == (None, None)
    assert (local["divergence"]["what"], local["divergence"]["epoch"]) == ("loss", 1)
    assert "diverged in epoch 1" in err
    assert "diverged" in next(line for line in out.splitlines() if " local " in line)
    monkeypatch.setattr(tasks, "train", lambda *_: pytest.fail("trained again"))
    assert cli.main(study) == 0
