"""The study of quantization methods, as a user runs it, and its summaries by hand."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from command_lines import changed

from blockwise import quant
from blockwise.cli import main as cli
from blockwise.report.qat import HEADINGS, cells
from blockwise.studies import jobs, qat, records, tasks
from blockwise.studies.commands import command
from devices.errors import InputError

pytestmark = pytest.mark.slow

ARGUMENTS = ["study", "qat", "--data", "digits", "--model", "cnn", "--epochs", "1", "--out", "runs.jsonl"]


def run(*arguments: str) -> int:
    return cli.main(changed([*ARGUMENTS, *arguments]))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_weights_of_32_bits_are_trained_in_float(here):
    assert run("--methods", "lsq", "--weight-bits", "32") == 0
    (row,) = records.read(here / "runs.jsonl")
    assert (row["method"], row["weight_bits"], row["activation_method"], row["activation_bits"]) == (
        "fp32", 32, "lsq", 3
    )  # fmt: skip


def test_runs_are_recorded_once_each_and_summed_up(here, monkeypatch, capsys):
    chosen = ["--methods", "fp32", "lsq", "--regimes", "bp", "local", "--heads", "gap", "pred"]
    assert run(*chosen) == 0
    rows = records.read(here / "runs.jsonl")
    assert [(r["method"], r["regime"], r["head"]) for r in rows] == [
        ("fp32", "bp", None), ("lsq", "bp", None), ("fp32", "local", "gap"), ("fp32", "local", "pred"),
        ("lsq", "local", "gap"), ("lsq", "local", "pred"),
    ]  # fmt: skip
    assert all(0 <= r["test_error"] <= 1 and r["environment"]["torch"] and r["peak_kib"] > 0 for r in rows)
    assert [8 * r["stored_bytes"] / r["weights"] for r in rows if r["method"] == "fp32"] == [32, 32, 32]
    assert all(3 < 8 * r["stored_bytes"] / r["weights"] < 5 for r in rows if r["method"] == "lsq")
    assert {path.name for path in here.iterdir()} == {"runs.jsonl", "runs.svg", "runs.png", "runs.html"}
    capsys.readouterr()
    monkeypatch.setattr(tasks, "train", lambda *_: pytest.fail("trained again"))
    assert run(*chosen) == 0
    out = capsys.readouterr().out
    assert all(f"{100 * r['test_error']:.1f}%" in out for r in rows)


def test_a_table_holds_runs_of_the_same_width_and_updates_and_each_is_told_by_its_command(here, capsys):
    asked = {
        "--optimizer": ("adam", ["adam", 2e-3]), "--lr": ("0.01", ["sgd-momentum", 0.01]),
        "--width": ("8", ["sgd-momentum", 0.1]),
    }  # fmt: skip
    assert run("--methods", "fp32", "lsq") == 0
    for flag, (value, _) in asked.items():
        assert run("--methods", "lsq", flag, value) == 0
    rows = records.read(here / "runs.jsonl")
    told = [[r["optimizer"], r["learning_rate"]] for r in rows]
    assert told == [["sgd-momentum", 0.1]] * 2 + [updates for _, updates in asked.values()]
    assert [r["width"] for r in rows[-2:]] == [16, 8]
    flags = [list(command(r))[-4 - 2 * n : -4] for r, n in zip(rows, (0, 0, 1, 1, 1), strict=True)]
    assert flags == [[], [], *([flag, value] for flag, (value, _) in asked.items())]
    capsys.readouterr()
    assert run("--methods", "lsq", "--dry-run") == 0
    out = capsys.readouterr().out
    shown = {f"{100 * r['test_error']:.1f}%" for r in rows[:2]}
    assert all(error in out for error in shown)
    others = {f"{100 * r['test_error']:.1f}%" for r in rows[2:]} - shown
    assert not any(error in out for error in others)


def row(method: str, seed: int, error: float, seconds: float, regime: str = "bp") -> dict[str, object]:
    return {
        "method": method, "activation_method": method, "weight_bits": 3, "activation_bits": 3,
        "residual": "codes", "revision": records.REVISION, "precision": "float32", "jump_every": 1,
        "regime": regime, "head": None, "blocks": None, "seed": seed, "test_error": error,
        "stored_bytes": 300, "weights": 800, "peak_kib": 7.0, "peak_kib_of_one": 3.0,
        "host_tensor_bytes": 2**20 * (1 + seed), "seconds": seconds,
    }  # fmt: skip


def test_a_summary_is_mean_and_deviation_over_seeds_best_first():
    rows = [row("lsq", 0, 0.2, 30), row("fp32", 0, 0.1, 10), row("lsq", 1, 0.4, 50), row("fp32", 1, 0.1, 30)]
    best, worst = qat.summaries([*rows, row("lsq", 0, 0.25, 9, "local")])[::2]
    assert (best.method, best.error, best.deviation, best.time_ratio) == ("fp32", 0.1, 0, 1)
    assert worst.error == pytest.approx(0.3)
    assert worst.deviation == pytest.approx(0.02**0.5)
    assert worst.time_ratio == pytest.approx(40 / 20)
    assert (worst.stored_bits, worst.host_mib, worst.reference) == (3, 2, 0.10)


def test_the_reference_rows_come_first_and_every_method_is_there():
    names = qat.catalogue()
    assert sorted(names) == sorted(quant.METHODS)
    assert names[0] == "fp32"


def test_the_full_preset_trains_the_reference_network_at_full_size_for_24_epochs():
    runs = qat.jobs(qat.QatSpace(("fp32", "lsq")), qat.PROTOCOLS["full"])
    assert [(run.config.training.seed, run.config.quantization.method) for run in runs] == [
        (0, "fp32"), (0, "lsq"), (1, "fp32"), (1, "lsq")
    ]  # fmt: skip
    for run in runs:
        network, images, training = run.config.network, run.config.images, run.config.training
        assert (network.model, network.width, images.data, images.image_size) == (
            "resnet20",
            16,
            "cifar10",
            None,
        )
        assert (training.epochs, training.batch_size) == (24, 128)
        assert (training.optimizer, training.learning_rate, training.weight_decay, training.schedule) == (
            "sgd-momentum", 0.1, 5e-4, "one-cycle"
        )  # fmt: skip


def test_the_best_recipe_starts_in_float_where_the_method_has_one_stage():
    protocol = qat.PROTOCOLS["best"]
    found = {
        j.conditions["method"]: j for j in qat.jobs(qat.QatSpace(qat.catalogue(), source="digits"), protocol)
    }
    assert found["lsq"].conditions["bit_chain"] == [32, 4, 1]
    assert found["fp32"].conditions["bit_chain"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "lqs"], "method: got 'lqs'"),
        (["--methods", "lsq", "lsq"], "--methods: got lsq lsq"),
        (["--regimes", "pb"], "regime: got 'pb'"),
        (["--preset", "long"], "--preset: got 'long'"),
        (["--model", "resnet"], "model: got 'resnet'"),
        (["--seeds"], "--seeds: got no value"),
        (["--regimes"], "--regimes: got no value"),
        (["--heads", "gpa", "--regimes", "local"], "head: got 'gpa'"),
        (["--weight-bits", "9"], "--weight-bits: got 9, wanted 1 to 8, 16 or 32"),
        (["--epochs", "0"], "--epochs: got 0"),
        (["--data", "nowhere/at/all", "--methods", "lsq"], "nowhere"),
        (["--methods", "lsq", "--regimes", "bp", "local", "--blocks", "nosuch"], "--blocks: got 'nosuch'"),
        (
            ["--methods", "lsq", "--regimes", "bp", "local", "--heads", "lookahead:0"],
            "lookahead: got width 0",
        ),
        (["--methods", "inq"], "--epochs: got 1, wanted at least 5, for the training has 5 stages"),
        (["--seeds", "1", "1"], "--seeds: got 1 1"),
        (["--optimizer", "adma"], "optimizer: got 'adma'"),
        (["--lr", "0"], "--lr: got 0.0, wanted a number above 0"),
        (["--width", "0"], "--width: got 0"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(arguments, message, here, capsys):
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n")) == ("", 1)
    assert list(here.iterdir()) == []


def job(method: str, residual: str, model: str = "resnet20") -> jobs.Job:
    space = qat.QatSpace((method,), model=model, source="digits", residual=residual)
    (found,) = qat.jobs(space, qat.PROTOCOLS["short"])
    return found


@pytest.mark.parametrize(
    ("method", "convention"),
    [("dorefa", "float"), ("lsq", "float"), ("twn", "float"), ("ptq-minmax", "codes"), ("fp32", "codes")],
)
def test_every_method_trains_with_the_skip_paths_of_its_own_networks_unless_told(method, convention):
    assert job(method, "paper").conditions["residual"] == convention
    assert job(method, "codes").conditions["residual"] == "codes"


def test_networks_without_residual_sums_know_no_difference():
    assert job("lsq", "float", "cnn").key == job("lsq", "codes", "cnn").key


def test_runs_with_float_and_coded_skip_paths_are_told_apart_and_older_lines_are_of_coded_ones(here):
    """The key of a run with codes is the hash that lines without the entry were recorded under."""
    codes, floats = job("lsq", "codes"), job("lsq", "float")
    assert codes.key != floats.key
    later = ("residual", "precision", "last_epochs", "init", "distill", "skip_heads")
    before = {n: value for n, value in codes.conditions.items() if n not in later}
    text = json.dumps([codes.images.fingerprint, before], sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert (key, codes.augment) in codes.lines
    old = row("lsq", 0, 0.3, 30) | {"key": key, "data": codes.images.name, "in_shape": codes.images.in_shape}
    del old["residual"]
    records.append(here / "runs.jsonl", old)
    assert jobs.missing((codes, floats), here / "runs.jsonl") == (floats,)
    rows = [*records.read(here / "runs.jsonl"), row("lsq", 0, 0.2, 30) | {"residual": "float"}]
    assert [(s.residual, s.error) for s in qat.summaries(rows)] == [("float", 0.2), ("codes", 0.3)]


def test_the_table_says_what_skip_paths_hold(here, capsys):
    line = row("lsq", 0, 0.2, 30) | {"residual": "float"}
    table = [
        cells(summary) for summary in qat.summaries([line, row("fp32", 0, 0.1, 10) | {"activation_bits": 32}])
    ]
    skip = HEADINGS.index("skip")
    assert [found[skip] for found in table] == ["-", "float"]


def test_the_references_errors_stand_beside_its_own_network_and_images_in_colour_alone():
    alike = [row("fp32", 0, 0.1, 9)]
    assert [s.reference for s in qat.summaries(alike)] == [0.085]
    for other in ({"model": "cnn"}, {"in_shape": [1, 8, 8]}, {"in_shape": [6, 100]}):
        assert [s.reference for s in qat.summaries([alike[0] | other])] == [None]


def test_a_time_is_held_against_float32_by_the_same_precision_on_the_same_machine():
    slow = [row("fp32", 0, 0.1, 100), row("lsq", 0, 0.2, 150)]
    fast = [r | {"precision": "bf16"} for r in (row("fp32", 0, 0.1, 20), row("lsq", 0, 0.2, 40))]
    elsewhere = row("dorefa", 0, 0.3, 10) | {"environment": {"accelerator": "cuda"}}
    found = qat.summaries([*slow, *fast, elsewhere])
    ratios = {(s.method, s.precision): s.time_ratio for s in found}
    assert ratios == {
        ("fp32", "float32"): 1, ("lsq", "float32"): 1.5, ("fp32", "bf16"): 1, ("lsq", "bf16"): 2,
        ("dorefa", "float32"): None,
    }  # fmt: skip
    compiled = row("twn", 0, 0.4, 10) | {"compiled": True}
    moved = row("pact", 0, 0.5, 10) | {"key": "ab", "places": [{}, {}]}
    assert [s.time_ratio for s in qat.summaries([*slow, compiled, moved])] == [1, 1.5, None, None]


def test_a_time_is_the_mean_of_those_that_have_float32_on_their_machine_in_whatever_order():
    slow = [row("fp32", 0, 0.1, 800), row("lsq", 0, 0.2, 1000), row("lsq", 2, 0.2, 1200)]
    fast = row("lsq", 1, 0.2, 20) | {"environment": {"accelerator": "cuda"}}
    for rows in ([*slow, fast], [fast, *slow]):
        assert {s.method: s.time_ratio for s in qat.summaries(rows)} == {"fp32": 1, "lsq": 1.375}


def test_host_memory_of_compiled_steps_is_not_told_for_it_is_not_measured():
    compiled, eager = row("lsq", 0, 0.2, 30) | {"host_tensor_bytes": None}, row("lsq", 1, 0.2, 30)
    (alone,), (both,) = qat.summaries([compiled]), qat.summaries([compiled, eager])
    assert (alone.host_mib, both.host_mib) == (None, 2)
    assert cells(alone)[HEADINGS.index("host MiB")] == "-"


def test_a_precision_that_the_processor_lacks_is_no_other_training(monkeypatch):
    def job(precision: str) -> jobs.Job:
        space = qat.QatSpace(("lsq",), model="cnn", source="digits", precision=precision)
        return qat.jobs(space, qat.PROTOCOLS["short"])[0]

    monkeypatch.setattr("torch.cpu._is_vnni_supported", lambda: True)
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: True)
    has, plain = job("bf16"), job("float32")
    there = tasks.task_of(has, "", Path("runs.jsonl"), "").work
    assert has.conditions["precision"] == "bf16" and has.key != plain.key
    monkeypatch.setattr("torch.cpu._is_vnni_supported", lambda: False)
    monkeypatch.setattr("torch.cpu._is_avx2_supported", lambda: False)
    assert job("bf16").conditions["precision"] == "float32" and job("bf16").key == plain.key
    with pytest.raises(InputError, match="got float32 on a worker and bf16 here"):
        there(Path(), None)


def test_weights_that_are_others_on_a_worker_are_named_and_not_the_images():
    space = qat.QatSpace(("lsq",), model="cnn", source="digits")
    work = tasks.task_of(qat.jobs(space, qat.PROTOCOLS["short"])[0], "", Path("runs.jsonl"), "").work
    with pytest.raises(InputError, match=r"--inits .*: got other weights on a worker than here"):
        replace(work, init="another")(Path(), None)
    with pytest.raises(InputError, match="--data digits: got other images on a worker than here"):
        replace(work, key="another")(Path(), None)
