"""The study of integer training, as a user runs it, and its table by hand."""

from dataclasses import replace

import pytest
from command_lines import changed

from blockwise.cli import main as cli
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.settings import (
    ImageSettings,
    NetworkSettings,
    OutputSettings,
    TrainingSettings,
    ZerothOrderSettings,
)
from blockwise.report.integers import integer_rows
from blockwise.studies import integers, jobs, records
from blockwise.studies.summary import summaries
from blockwise.training import INTEGER_REGIMES
from devices.program.regimes import find

ARGUMENTS = ["study", "integer", "--data", "digits", "--epochs", "1", "--out", "runs.jsonl"]


def run(*arguments: str) -> int:
    return cli.main(changed([*ARGUMENTS, *arguments]))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_runs_are_recorded_once_each_with_the_numbers_they_train_in(here, monkeypatch, capsys):
    chosen = ["--regimes", "bp", "local", "niti", "niti4-local", "nitro-local"]
    assert run(*chosen) == 0
    rows = {(r["method"], r["regime"]): r for r in records.read(here / "runs.jsonl")}
    assert list(rows) == [
        ("fp32", "bp"), ("lsq", "bp"), ("fp32", "local"), ("lsq", "local"), ("niti", "niti"),
        ("niti4", "niti4-local"), ("nitro", "nitro-local"),
    ]  # fmt: skip
    stored = {method: 8 * r["stored_bytes"] / r["weights"] for (method, _), r in rows.items()}
    assert (stored["fp32"], stored["niti"], stored["nitro"]) == (32, 8, 32)
    assert 4 < stored["niti4"] < 4.3  # first and last layer have 8
    niti, local = rows["niti", "niti"], rows["niti4", "niti4-local"]
    assert (niti["mu"], niti["learning_rate"], niti["head"], niti["blocks"]) == (5, None, None, None)
    assert (local["head"], local["blocks"], local["weight_bits"]) == ("pred-pooled", "layers", 8)
    assert rows["lsq", "bp"]["learning_rate"] == 0.05 and "mu" not in rows["lsq", "bp"]
    assert {path.name for path in here.iterdir()} == {"runs.jsonl", "runs.svg", "runs.png", "runs.html"}
    capsys.readouterr()
    monkeypatch.setattr(jobs, "train", lambda *_: pytest.fail("trained again"))
    assert run(*chosen) == 0
    out = capsys.readouterr().out
    assert all(f"{100 * r['test_error']:.1f}%" in out for r in rows.values())


def row(method: str, regime: str, seed: int, error: float, seconds: float = 1) -> dict[str, object]:
    local = "local" in regime
    return {
        "method": method, "activation_method": method, "weight_bits": 8, "activation_bits": 8,
        "regime": regime, "head": "pred-pooled" if local else None, "blocks": "layers" if local else None,
        "residual": "codes", "revision": 1, "precision": "float32", "seed": seed, "test_error": error,
        "stored_bytes": 100, "weights": 100, "peak_kib": 7.0 + local,
        "peak_kib_of_one": 3.0 + local, "host_tensor_bytes": 0, "seconds": seconds,
    }  # fmt: skip


def test_a_row_is_what_global_and_local_training_reach():
    rows = [row("fp32", "bp", 0, 0.5), row("niti", "niti", 0, 0.25), row("niti", "niti-local", 0, 0.5)]
    rows += [row("niti", "niti", 1, 0.35), row("niti", "niti-local", 1, 0.5)]
    first, second = integer_rows(summaries(rows))
    assert first == ("niti", "W8A8", "8.00", "2", "30.0 ± 7.1%", "50.0 ± 0.0%", "7", "8", "3", "4")
    assert second == ("fp32", "W8A8", "8.00", "1", "50.0%", "-", "7", "-", "3", "-")


def test_times_are_against_float32_of_the_same_kind():
    rows = [row("fp32", "bp", 0, 0.1, 10), row("fp32", "local", 0, 0.2, 20)]
    rows += [row("niti", "niti", 0, 0.3, 20), row("niti", "niti-local", 0, 0.4, 30)]
    assert [s.time_ratio for s in summaries(rows)] == [1, 1, 2, 1.5]


def test_every_integer_regime_is_in_the_default_study_but_zeroth_order_and_one_block_at_a_time():
    found = integers.jobs(integers.IntegerSpace(source="digits"), integers.PROTOCOLS["short"])
    usual = [name for name in INTEGER_REGIMES if not (find(name).perturbs or find(name).one_by_one)]
    assert [job.regime for job in found] == ["bp", "bp", "local", "local", *usual]


def test_what_a_zeroth_order_run_is_told_tells_it_from_others():
    space = integers.IntegerSpace(("niti-zo", "niti"), source="digits")
    perturbed, plain = integers.jobs(space, integers.PROTOCOLS["short"])
    other = replace(perturbed, config=replace(perturbed.config, zeroth_order=ZerothOrderSettings(zo_range=7)))
    assert perturbed.key != other.key and other.conditions["zo_range"] == 7
    assert "zo_range" not in plain.conditions
    untold = replace(plain, config=replace(plain.config, zeroth_order=ZerothOrderSettings(zo_range=7)))
    assert untold.key == plain.key


def test_what_cannot_be_trained_on_integers_is_refused_before_anything_is_trained(here, monkeypatch, capsys):
    large = replace(integers.PROTOCOLS["short"], model="resnet20")
    monkeypatch.setitem(integers.PROTOCOLS, "short", large)
    assert run() == 2
    assert "regime niti: got a network with batch norm" in capsys.readouterr().err
    assert list(here.iterdir()) == []


def test_the_preset_of_niti_fits_its_accumulators():
    protocol = integers.PROTOCOLS["niti"]
    config = Config(
        network=NetworkSettings(protocol.model, protocol.width, blocks="layers", head="pred-pooled"),
        images=ImageSettings(in_shape=(3, 32, 32)),
        training=TrainingSettings(tuple(INTEGER_REGIMES), batch_size=protocol.batch_size),
        output=OutputSettings(dry_run=True),
    )
    assert prepare(config).integer_regimes == tuple(INTEGER_REGIMES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--regimes", "pb"], "regime: got 'pb'"),
        (["--regimes", "bp-best"], "regime: got 'bp-best'"),
        (["--regimes", "bp", "bp"], "--regimes: got bp bp"),
        (["--preset", "long"], "--preset: got 'long'"),
        (["--epochs", "0"], "--epochs: got 0"),
        (["--seeds", "1", "1"], "--seeds: got 1 1"),
        (["--seeds"], "--seeds: got no value"),
        (["--regimes"], "--regimes: got no value"),
        (["--data", "nowhere/at/all"], "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(arguments, message, here, capsys):
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n")) == ("", 1)
    assert list(here.iterdir()) == []
