"""The study of integer training, as a user runs it, and its table by hand."""

from dataclasses import replace
from pathlib import Path

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
from blockwise.report.integers import integer_rows, one_by_one_words
from blockwise.studies import integers, records, tasks
from blockwise.studies.commands import command
from blockwise.studies.summary import summaries
from blockwise.training import INTEGER_REGIMES
from devices.program.regimes import find

RECORD = Path(__file__).parents[3] / "results" / "studies" / "integer_short.jsonl"
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
    monkeypatch.setattr(tasks, "train", lambda *_: pytest.fail("trained again"))
    assert run(*chosen) == 0
    out = capsys.readouterr().out
    assert all(f"{100 * r['test_error']:.1f}%" in out for r in rows.values())


def row(method: str, regime: str, seed: int, error: float, seconds: float = 1) -> dict[str, object]:
    local = "local" in regime
    return {
        "method": method, "activation_method": method, "weight_bits": 8, "activation_bits": 8,
        "regime": regime, "head": "pred-pooled" if local else None, "blocks": "layers" if local else None,
        "residual": "codes", "revision": 1, "precision": "float32", "jump_every": 1, "seed": seed,
        "test_error": error, "stored_bytes": 100, "weights": 100, "peak_kib": 7.0 + local,
        "peak_kib_of_one": 3.0 + local, "host_tensor_bytes": 0, "seconds": seconds,
    }  # fmt: skip


def test_a_row_is_what_global_and_local_training_reach():
    rows = [row("fp32", "bp", 0, 0.5), row("niti", "niti", 0, 0.25), row("niti", "niti-local", 0, 0.5)]
    rows += [row("niti", "niti", 1, 0.35), row("niti", "niti-local", 1, 0.5)]
    first, second = integer_rows(summaries(rows))
    assert first == ("niti", "W8A8", "8.00", "2", "30.0 ± 7.1%", "50.0 ± 0.0%", "7", "8", "3", "4")
    assert second == ("fp32", "W8A8", "8.00", "1", "50.0%", "-", "7", "-", "3", "-")


def test_a_regime_of_zeroth_order_does_not_stand_in_the_cell_of_another():
    rows = [
        row("niti", "niti", 0, 0.3),
        row("niti", "niti-zo", 0, 0.7),
        row("niti", "niti-zo-hybrid", 0, 0.5),
    ]
    assert [r[:1] + r[4:6] for r in integer_rows(summaries(rows))] == [
        ("niti", "30.0%", "-"), ("niti-zo-hybrid", "50.0%", "-"), ("niti-zo", "70.0%", "-"),
    ]  # fmt: skip


def test_runs_that_wait_otherwise_and_blocks_in_turn_have_rows_of_their_own():
    rows = [
        row("niti4-jump", name, 0, error) | {"jump_every": every, "test_error_one_by_one": alone}
        for name, every, error, alone in (
            ("niti4-jump", 1, 0.5, 0.52), ("niti4-jump", 8, 0.25, 0.24), ("niti4-jump-local", 8, 0.3, None),
        )
    ]  # fmt: skip
    rows.append({**row("niti4-jump", "niti4-jump-resident", 0, 0.4), "jump_every": 8, "head": "gap"})
    found = summaries(rows)
    assert [(r[0], r[4], r[5]) for r in integer_rows(found)] == [
        ("niti4-jump, a jump in 8", "25.0%", "30.0%"),
        ("niti4-jump, a jump in 8, a block at a time", "-", "40.0%"),
        ("niti4-jump", "50.0%", "-"),
    ]
    assert one_by_one_words(found) == (
        "Test error image by image, as a board predicts: niti4-jump, a jump in 8 24.0%; niti4-jump 52.0%."
    )


def test_regimes_whose_weights_jump_are_trained_for_each_number_of_batches_and_others_once():
    protocol = replace(integers.PROTOCOLS["jumps"], image_size=None, jump_every=(1, 8), seeds=(0, 1))
    space = integers.IntegerSpace(("niti4", "niti4-jump"), source="digits")
    found = integers.jobs(space, protocol)
    asked = [(j.regime, j.config.training.jump_every, j.config.training.seed) for j in found]
    assert asked[:3] == [("niti4", 1, 0), ("niti4-jump", 1, 0), ("niti4-jump", 8, 0)]
    assert len({job.key for job in found}) == 6 == len(asked)
    assert [job.regime for job in integers.jobs(replace(space, regimes=None), protocol)[:2]] == [
        "niti4", "niti4-local",
    ]  # fmt: skip


def test_keys_of_runs_that_do_not_wait_are_what_they_were():
    (job,) = integers.jobs(integers.IntegerSpace(("niti4-jump",), "digits"), integers.PROTOCOLS["short"])
    earlier = {n: v for n, v in job.conditions.items() if (n, v) not in records.FORMERLY.items()}
    assert job.conditions["jump_every"] == 1 and "jump_every" not in earlier
    recorded = next(r for r in records.read(RECORD) if r["regime"] == "niti4-jump" and r["seed"] == 0)
    conditions = {name: recorded[name] for name in job.conditions}
    assert conditions == job.conditions


@pytest.mark.slow
def test_a_run_is_told_by_the_command_that_trains_it_again(here, capsys):
    asked = ["--regimes", "niti4-jump", "--jump-every", "3", "--model", "plain4", "--width", "4"]
    assert run(*asked, "--batch-size", "32") == 0
    (found,) = records.read(here / "runs.jsonl")
    assert (found["jump_every"], found["width"], found["batch_size"]) == (3, 4, 32)
    assert " ".join(command(found)) == (
        "study integer --data digits --preset short --regimes niti4-jump --jump-every 3 --width 4 "
        "--batch-size 32 --epochs 1 --seeds 0"
    )
    assert "a jump in 3" in capsys.readouterr().out


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
    assert "regime niti: got a network with a residual sum" in capsys.readouterr().err
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
        (["--jump-every", "2", "2"], "--jump-every: got 2 2"),
        (["--jump-every", "0"], "--jump-every: got 0"),
        (["--regimes", "niti", "--jump-every", "8"], "--jump-every: got 8 with niti, wanted a regime whose"),
        (["--model", "nowhere"], "model: got 'nowhere'"),
        (["--regimes", "niti4-jump", "--jump-every", "99999"], "--jump-every: got 99999 batches, of wh"),
        (["--data", "nowhere/at/all"], "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(arguments, message, here, capsys):
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n")) == ("", 1)
    assert list(here.iterdir()) == []
