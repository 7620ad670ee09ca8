"""Which lines of a record stand in one table."""

import json
from collections.abc import Callable

import pytest
from command_lines import changed
from tiers import quick

from blockwise.cli import main as cli
from blockwise.studies import records
from blockwise.studies.summary import NEEDED, summaries

pytestmark = pytest.mark.slow

Run = Callable[..., int]
STUDIES = {
    "qat": ["--model", "cnn", "--methods", "lsq"],
    "integer": ["--regimes", "niti"],
}


@pytest.fixture(params=quick(STUDIES, "qat"))
def run(request, tmp_path, monkeypatch) -> Run:
    """The study with one training, recorded in runs.jsonl."""
    monkeypatch.chdir(tmp_path)
    common = ["study", request.param, "--data", "digits", "--epochs", "1", "--out", "runs.jsonl"]
    return lambda *more: cli.main(changed([*common, *STUDIES[request.param], *more]))


def test_a_table_holds_one_network_with_one_number_of_epochs(run, tmp_path, capsys):
    assert run() == 0 and run("--epochs", "2") == 0
    first, second = records.read(tmp_path / "runs.jsonl")
    assert (first["epochs"], second["epochs"]) == (1, 2)
    capsys.readouterr()
    assert run("--dry-run") == 0
    out = capsys.readouterr().out
    assert "1 of 1 runs are recorded" in out
    assert sum(line.startswith(first["method"]) for line in out.splitlines()) == 1
    assert f"{100 * first['test_error']:.1f}%" in out


def test_a_run_of_an_earlier_revision_of_the_training_is_trained_again_and_stands_in_no_table(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    command = ["study", "qat", "--data", "digits", "--epochs", "1", "--out", "runs.jsonl", *STUDIES["qat"]]
    with monkeypatch.context() as earlier:
        earlier.setattr(records, "REVISION", records.FIRST_REVISION)
        assert cli.main(command) == 0
    capsys.readouterr()
    assert cli.main([*command, "--dry-run"]) == 0
    assert capsys.readouterr().out == "0 of 1 runs are recorded\n"
    assert cli.main(command) == 0
    first, second = records.read(tmp_path / "runs.jsonl")
    assert [first["revision"], second["revision"]] == [1, records.REVISION]
    assert first["key"] != second["key"] and len(summaries([first, second])) == 2


def test_a_table_holds_one_set_of_images(run, tmp_path, capsys):
    assert run() == 0
    (own,) = records.read(tmp_path / "runs.jsonl")
    records.append(tmp_path / "runs.jsonl", own | {"key": "another", "data": "other", "test_error": 0.9999})
    capsys.readouterr()
    assert run("--dry-run") == 0
    out = capsys.readouterr().out
    assert f"{100 * own['test_error']:.1f}%" in out and "100.0%" not in out


def test_sets_of_one_name_stand_in_no_table_together(run, tmp_path, capsys):
    """The other one's conditions and seed are the same: only its images tell it apart."""
    assert run() == 0
    (own,) = records.read(tmp_path / "runs.jsonl")
    other = own | {"key": "another", "contents": "of other images", "test_error": 0.9999}
    records.append(tmp_path / "runs.jsonl", other)
    capsys.readouterr()
    assert run("--dry-run") == 0
    out = capsys.readouterr().out
    assert f"{100 * own['test_error']:.1f}%" in out and "100.0%" not in out


def test_a_line_without_what_the_table_needs_is_one_line_of_error(run, tmp_path, capsys):
    assert run() == 0
    (own,) = records.read(tmp_path / "runs.jsonl")
    for name in sorted({*NEEDED} - {*records.FORMERLY}):
        lacking = {key: value for key, value in own.items() if key != name}
        (tmp_path / "runs.jsonl").write_text(json.dumps(lacking) + "\n")
        capsys.readouterr()
        assert run("--dry-run") == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1) and "runs.jsonl, line 1: got" in err


@pytest.mark.parametrize(
    ("line", "got"),
    [
        ('{"key": "a", "schema": 2}', "got a record of schema 2, wanted schema 1, the one of this version"),
        ('{"key": "a", "way": "bp"}', "without 'method', wanted the JSON line of a finished run"),
        ('{"key": 3}', "got key 3, wanted the JSON line of a finished run"),
        ('{"key": "a", "data": ["b"]}', "got data ['b'], wanted the JSON line of a finished run"),
        ("key,way", "got 'key,way', wanted the JSON line of a finished run"),
    ],
)
def test_a_file_of_another_schema_is_refused_before_any_work_and_stays_as_it_is(
    line, got, run, tmp_path, capsys
):
    (tmp_path / "runs.jsonl").write_text(line + "\n")
    assert run("--workers", "2") == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and "runs.jsonl, line 1: got" in err and got in err
    assert (tmp_path / "runs.jsonl").read_text() == line + "\n"


def test_an_older_line_is_read_with_the_only_choice_that_there_was(run, tmp_path, capsys):
    assert run() == 0
    (own,) = records.read(tmp_path / "runs.jsonl")
    older = {key: value for key, value in own.items() if key not in records.FORMERLY}
    (tmp_path / "runs.jsonl").write_text(json.dumps(older) + "\n")
    assert records.read(tmp_path / "runs.jsonl") == [own | records.FORMERLY | {"augment": own["augment"]}]
    assert own["augment"] == "no augmentation"  # the set has it by its name
    capsys.readouterr()
    assert run("--dry-run") == 0
    assert "1 of 1 runs are recorded" in capsys.readouterr().out
