"""Where studies keep what they find: under runs/, in results/ if told to record, or where --out says."""

from pathlib import Path

import pytest

from blockwise.cli import main as cli
from blockwise.system.locks import only_writer

TRAINED = ["--data", "digits", "--model", "mlp", "--epochs", "1", "--seeds", "0", "--methods", "fp32"]
MADE = ["html", "jsonl", "png", "svg"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "stem"),
    [
        ([], "runs/studies/qat_short"),
        (["--record"], "results/studies/qat_short"),
        (["--out", "own/mine.jsonl"], "own/mine"),
        (["--out", "lr0.1.jsonl"], "lr0.1"),
    ],
)
def test_runs_and_their_figure_are_kept_where_that_is_asked_for(here, flags, stem):
    assert cli.main(["study", "qat", *TRAINED, *flags]) == 0
    assert files(here) == [f"{stem}.{kind}" for kind in MADE]


@pytest.mark.parametrize("out", ["runs.html", "runs.svg", "runs.png", "runs.json", "runs"])
def test_a_record_that_its_page_or_figure_would_replace_is_refused(here, out, capsys):
    assert cli.main(["study", "qat", *TRAINED, "--out", out]) == 2
    told = capsys.readouterr().err
    assert f"--out {out}: got another kind of file, wanted one of lines, NAME.jsonl; name it runs" in told
    assert files(here) == []


def test_two_commands_do_not_write_one_record(here, capsys):
    with only_writer(here / "runs.jsonl", "--out", ""):
        assert cli.main(["study", "qat", *TRAINED, "--out", "runs.jsonl"]) == 2
    told = capsys.readouterr().err
    assert "--out runs.jsonl: got another command that writes it, wanted one; wait for it" in told
    assert files(here) == []


@pytest.mark.slow
def test_the_memory_study_is_kept_only_if_that_is_asked_for(here, capsys):
    assert cli.main(["study", "memory", "--json"]) == 0
    printed = capsys.readouterr().out
    assert files(here) == []
    assert cli.main(["study", "memory", "--record"]) == 0
    assert files(here) == ["results/studies/memory.json"]
    assert (here / "results" / "studies" / "memory.json").read_text("utf-8").strip() == printed.strip()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("qat", "qat_short.jsonl"),
        ("integer", "integer_short.jsonl"),
        ("precision", "precision_short.jsonl"),
        ("recipe", "recipe_short.jsonl"),
        ("memory", "memory.json"),
    ],
)
def test_two_places_at_once_are_refused_before_any_work(here, name, kept, capsys):
    assert cli.main(["study", name, "--record", "--out", "own.json"]) == 2
    told = capsys.readouterr().err
    wanted = f"--record: got --out own.json too, wanted one file: results/studies/{kept} or that of --out"
    assert wanted in told
    assert told.count("\n") == 1
    assert files(here) == []
