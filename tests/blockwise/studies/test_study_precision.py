"""Precision against width: the solver against arithmetic, and the study as a user runs it."""

import json
from pathlib import Path

import pytest
from command_lines import changed
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import models
from blockwise.cli import main as cli
from blockwise.cli.commands import study_precision
from blockwise.report.precision import _figure
from blockwise.studies import precision, records, tasks
from blockwise.studies.precision import ScalableModel, points
from devices.errors import InputError

pytestmark = pytest.mark.slow

RESNET = ScalableModel("resnet20", (3, 32, 32), 10)
SMALL = ScalableModel("cnn", (1, 8, 8), 10)


def test_the_sizes_are_those_of_the_published_network():
    sizes = RESNET.sizes(16)
    assert sizes.parameters == 269_722 == models.count_parameters(models.build("resnet20", width=16))
    assert sizes.largest_activation == 16 * 32 * 32
    assert sizes.bits(3) == 269_722 * 3 + 16_384 * 4
    assert sizes.bits(32) == (269_722 + 16_384) * 32


@settings(max_examples=60)
@given(bits=st.sampled_from(precision.BITS), budget=st.integers(1, 3_000_000))
def test_the_widest_network_fits_and_the_next_one_does_not(bits, budget):
    width = SMALL.widest(bits, budget)
    if width is None:
        assert SMALL.sizes(1).bits(bits) > budget
    else:
        assert SMALL.sizes(width).bits(bits) <= budget < SMALL.sizes(width + 1).bits(bits)


def test_each_point_is_the_widest_of_its_budget():
    found = points(SMALL, 16, (4, 8), (1, 4, 32))
    full = SMALL.sizes(16).bits(32)
    assert [(p.compression, p.bits) for p in found] == [(8, 1), (8, 4), (8, 32), (4, 1), (4, 4), (4, 32)]
    for point in found:
        assert point.budget_bits == full // point.compression
        assert point.memory_bits == SMALL.sizes(point.width).bits(point.bits) <= point.budget_bits


def test_a_budget_in_which_no_width_fits_is_an_error_that_names_the_point():
    with pytest.raises(InputError, match=r"cnn at 32 bits and compression 100000: got a budget of 1 bytes"):
        points(SMALL, 16, (100_000,), (32,))


ARGUMENTS = ["study", "precision", "--data", "digits", "--model", "cnn", "--compression", "8"]


def run(*arguments: str) -> int:
    return cli.main(changed([*ARGUMENTS, "--out", "runs.jsonl", *arguments]))


def test_runs_are_recorded_once_each_and_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("--bits", "2", "32") == 0
    rows = records.read(tmp_path / "runs.jsonl")
    assert [(row["bits"], row["method"], row["activation_bits"]) for row in rows] == [
        (2, "lsq", 4), (32, "fp32", 32),
    ]  # fmt: skip
    assert all(0 <= row["test_error"] <= 1 and row["seed"] == 0 and row["data"] == "digits" for row in rows)
    assert all(row["environment"]["torch"] and row["images"] == [1368, 70, 359] for row in rows)
    assert {path.name for path in tmp_path.iterdir()} == {"runs.jsonl", "runs.svg", "runs.png", "runs.html"}
    assert "<svg" in (tmp_path / "runs.svg").read_text("utf-8")
    capsys.readouterr()
    before = (tmp_path / "runs.jsonl").read_bytes()
    monkeypatch.setattr(tasks, "train", lambda *_: pytest.fail("trained again"))
    assert run("--bits", "2", "32") == 0
    assert (tmp_path / "runs.jsonl").read_bytes() == before
    out = capsys.readouterr().out
    assert all(f"{row['test_error']:.1%}" in out for row in rows)


def test_a_dry_run_shows_the_widths_and_trains_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("--bits", "1", "16", "--dry-run") == 0
    assert list(tmp_path.iterdir()) == []
    assert "M0/8" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--compression", "1000000"], "wanted"),
        (["--bits", "9"], "--bits: got 9"),
        (["--bits", "2", "2"], "--bits: got 2 2"),
        (["--compression", "0"], "--compression: got 0"),
        (["--seeds", "-1"], "--seeds: got -1"),
        (["--preset", "long"], "--preset: got 'long'"),
        (["--model", "resnet"], "model: got 'resnet'"),
        (["--data", "nowhere/at/all"], "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n")) == ("", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_record_is_refused_before_any_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for text, number in (('{"torn', 1), ("[" * 100_000, 1), ('{"key": "a", "bits": 3}\n', 1)):
        (tmp_path / "runs.jsonl").write_text(text, encoding="utf-8")
        assert run() == 2
        assert f"runs.jsonl, line {number}" in capsys.readouterr().err


def test_an_appended_row_joins_those_before_it(tmp_path):
    path = tmp_path / "rows.jsonl"
    for key in ("a", "b"):
        records.append(path, {"key": key})
    assert [json.loads(line)["key"] for line in path.read_text("utf-8").splitlines()] == ["a", "b"]


def test_a_study_of_which_all_diverged_so_far_is_drawn(tmp_path):
    row = {
        "compression": 4, "bits": 1, "width": 8, "seed": 0, "test_error": None, "images": [10, 10, 100],
        "classes": 10, "model": "resnet20", "data": "own", "in_shape": [3, 8, 8], "epochs": 1,
    }  # fmt: skip
    figure = _figure([row])
    assert "n = 0;" in figure.axes[0].get_title(loc="left")


def test_a_record_without_what_page_and_table_need_is_refused_before_hours_of_work(
    tmp_path, monkeypatch, capsys
):
    recorded = Path(__file__).parents[3] / "results" / "studies" / "precision_short.jsonl"
    lines = records.read(recorded, study_precision.FIGURES)  # of the first version as well
    for name in ("seconds", "best_epoch", "width", "activation_bits"):
        records.write(tmp_path / "runs.jsonl", [{k: v for k, v in lines[0].items() if k != name}])
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(tasks, "train", lambda *_: pytest.fail("trained"))
        assert run("--bits", "2") == 2
        assert f"without '{name}'" in capsys.readouterr().err
