"""Where studies keep what they find: under runs/, in results/ if told to record, or where --out says."""

import json
import shutil
from pathlib import Path

import pytest

from blockwise.cli import main as cli
from blockwise.executors.storage import Folder
from blockwise.studies.kinds import wrong
from blockwise.studies.records import read
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


@pytest.mark.slow
def test_a_value_of_another_kind_is_refused_by_its_line_before_any_work(here, capsys):
    asked = ["study", "qat", *TRAINED, "--out", "runs.jsonl"]
    assert cli.main(asked) == 0
    line = json.loads((here / "runs.jsonl").read_text("utf-8"))
    cases = {
        "test_error": float("nan"), "images": [], "weights": 0, "places": None, "environment": None,
        "in_shape": None, "classes": None, "seed": "0", "peak_kib": -1, "regime": 7, "paged_kib": [1.0],
    }  # fmt: skip
    for name, value in {**cases, "test_error ": "0.3"}.items():
        changed = json.dumps({**line, name.strip(): value}) + "\n"
        (here / "runs.jsonl").write_text(changed, "utf-8")
        capsys.readouterr()
        assert cli.main([*asked, "--dry-run"]) == 2, name
        told = capsys.readouterr().err
        assert (
            told.startswith(f"blockwise: runs.jsonl, line 1: got {name.strip()} ") and told.count("\n") == 1
        )
        assert (here / "runs.jsonl").read_text("utf-8") == changed


def test_recorded_lines_have_the_kinds_of_values_that_are_asked_for():
    found = [path for path in Path(__file__).parents[4].glob("results/studies/*.jsonl")]
    assert len(found) > 8
    assert all(wrong(row) == "" for path in found for row in read(path))
    assert wrong({"test_error": True}) == "test_error 'True', which is to be a number from 0 to 1, or null"


@pytest.mark.slow
def test_one_training_under_two_names_is_counted_once(here, capsys):
    asked = [
        "study", "recipe", *TRAINED[:-2], "--width", "8", "--regimes", "bp", "--blocks", "2",
        "--heads", "gap", "--bits", "3", "--bit-chains", "none", "--inits", "none", "mine", "copy",
        "--out", "runs.jsonl",
    ]  # fmt: skip
    trained = ["--data", "digits", "--model", "mlp", "--width", "8", "--epochs", "1", "--regimes", "bp"]
    trained += ["--image-size", "16"]
    assert cli.main([*trained, "--quiet", "--out", "mine"]) == 0
    shutil.copytree("mine", "copy")
    capsys.readouterr()
    assert cli.main([*asked, "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("0 of 2 runs are recorded")
    assert cli.main(asked) == 0
    told = capsys.readouterr().err
    assert "1 of 2: " in told and "2 of 2: " in told
    assert cli.main([*asked, "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("2 of 2 runs are recorded")


@pytest.mark.slow
def test_the_precision_study_tells_what_is_missing(here, capsys):
    asked = [
        "study", "precision", "--data", "digits", "--model", "mlp", "--compression", "8", "--bits", "2", "4",
        "--seeds", "0", "1",
    ]  # fmt: skip
    assert cli.main([*asked, "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("0 of 4 runs are recorded\n")


def test_commands_that_share_a_storage_do_not_keep_the_same_names_at_once(here, capsys):
    """Half-written files of the one would be taken for those that a killed command has left."""
    (here / "kept").mkdir()
    with Folder(here / "kept").only_user("runs"):
        assert cli.main(["study", "qat", *TRAINED, "--out", "runs.jsonl", "--storage", "kept"]) == 2
        told = capsys.readouterr().err
        assert "trainings kept in kept: got another command that writes it, wanted one; wait for it" in told
        assert cli.main(["study", "qat", *TRAINED, "--out", "mine.jsonl", "--storage", "kept"]) == 0
