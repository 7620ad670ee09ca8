"""The command line as a user meets it: streams, exit codes and help."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_runs import DRY, ROOT, TINY, image_folder
from PIL import Image
from tiers import shown

from blockwise import __version__
from blockwise.cli import main as cli
from devices.boards import profile

FLAGS = [
    "device", "model", "width", "data", "image-size", "method", "weight-bits", "activation-bits",
    "regimes", "blocks", "head", "optimizer", "lr", "epochs", "batch-size", "update", "seed",
    "accelerator", "compile", "out", "json", "full", "dry-run", "resume", "quiet", "version", "list-devices",
]  # fmt: skip


@pytest.mark.slow
def test_json_prints_the_result_file_and_nothing_else_on_stdout(capsys):
    assert cli.main([*TINY, "--epochs", "1", "--out", "run", "--json"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result == json.loads(Path("run/result.json").read_text("utf-8"))
    (row,) = result["regimes"]
    assert row["regime"] == "bp"
    assert sum(row["by_category"].values()) == row["peak_bytes"]
    assert 0 <= row["test_accuracy"] <= 1
    assert "bp: epoch 1/1" in err
    assert "\x1b" not in out + err


@pytest.mark.slow
def test_quiet_prints_the_verdict_and_the_accuracy_in_one_line(capsys):
    assert cli.main([*TINY, "--epochs", "1", "--out", "run", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(r"bp fits .* to spare\. Test accuracy: bp [\d.]+ % \(95 % interval .*\)\.\n", out)
    assert err == ""


@pytest.mark.slow
def test_what_is_planned_is_told_before_the_first_epoch_and_the_report_at_the_end(capsys):
    assert cli.main([*TINY, "--epochs", "1", "--out", "run"]) == 0
    out, err = capsys.readouterr()
    planned, epochs = err.split("bp: epoch 1/1, loss ")
    assert "Verdict" in planned and "MMAC/step" in planned and "accuracy (95 %)" not in planned
    assert epochs.count("\n") == 1
    assert "Verdict" in out and "accuracy (95 %)" in out


@pytest.mark.slow
def test_a_report_in_full_has_the_tables_behind_the_first_screen(capsys):
    assert cli.main([*DRY, "--out", "run"]) == 0
    first = capsys.readouterr().out
    assert cli.main([*DRY, "--out", "other", "--full"]) == 0
    assert "Alive at the peak" in capsys.readouterr().out
    assert "Alive at the peak" not in first and len(first.splitlines()) < 20


def test_the_report_is_plain_text_where_there_is_no_terminal(capsys):
    assert cli.main([*DRY, "--out", "run"]) == 0
    out, err = capsys.readouterr()
    assert "Verdict" in out
    assert "\x1b" not in out
    assert err == ""


@pytest.mark.slow
def test_a_plan_is_the_comparison_without_its_training(capsys):
    arguments = ("--model", "cnn", "--width", "4", "--regimes", "bp", "--arena-csv")
    assert cli.main(["plan", *arguments, "--out", "run"]) == 0
    planned = capsys.readouterr().out
    assert cli.main([*arguments, "--dry-run", "--out", "other"]) == 0
    assert capsys.readouterr().out == re.sub(r" run\b(?!\.py)", " other", planned)
    lines = Path("run/arena-bp.csv").read_text("utf-8").splitlines()
    (row,) = json.loads(Path("run/result.json").read_text("utf-8"))["regimes"]
    assert len(lines) == 1 + len(row["tensors"]) > 50


@pytest.mark.slow
def test_exit_code_3_tells_that_no_regime_fits(capsys):
    assert cli.main(["--device", "stm32f103", "--regimes", "bp", "--dry-run", "--out", "run"]) == 3
    assert "does not fit" in capsys.readouterr().out


def test_float_training_needs_no_bits_and_reports_32(capsys):
    assert cli.main([*DRY, "--method", "fp32", "--out", "run", "--json"]) == 0
    config = json.loads(capsys.readouterr().out)["config"]
    assert (config["weight_bits"], config["activation_bits"]) == (32, 32)


@pytest.mark.slow
def test_a_folder_of_images_is_known_by_its_own_name(capsys, workplace):
    image_folder(workplace / "pictures" / "birds")
    assert cli.main([*DRY, "--data", str(workplace / "pictures" / "birds"), "--out", "run", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert (data["name"], data["test"]) == ("birds", 4)


def test_a_folder_named_like_a_set_is_reached_by_its_path(capsys, workplace):
    image_folder(workplace / "digits")
    assert cli.main([*DRY, "--data", "./digits", "--out", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["test"] == 4


@pytest.mark.slow
def test_folders_whose_names_are_not_utf_8_are_trained_from_written_resumed_and_exported(capsys, workplace):
    data, out = image_folder(workplace / os.fsdecode(b"caf\xe9")), os.fsdecode(b"r\xfcn")
    (data / "train" / "b").rename(data / "train" / os.fsdecode(b"\xff"))
    (data / "test" / "b").rename(data / "test" / os.fsdecode(b"\xff"))
    command = [*TINY, "--epochs", "1", "--batch-size", "8", "--data", str(data), "--out", out]
    assert cli.main(command) == 0
    assert "caf\\xe9, 1x8x8" in capsys.readouterr().out
    written = json.loads(Path(out, "result.json").read_bytes())
    assert (written["config"]["data"], written["data"]["name"]) == (str(data), "caf\\xe9")
    assert {path.name for path in Path(out).iterdir()} >= {"report.html", "timeline.svg", "timeline.png"}
    assert cli.main(["--resume", out, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["config"] == written["config"]
    assert again["regimes"][0]["test_accuracy"] == written["regimes"][0]["test_accuracy"]
    assert cli.main(["export", out]) == 0
    assert Path(out, "bp.safetensors").exists()


@pytest.mark.slow
@pytest.mark.parametrize("encoding", shown(["ascii", "latin-1", "utf-8"], "ascii"))
def test_any_console_prints_json_that_reads_back(encoding, workplace):
    data = image_folder(workplace / "名é" / os.fsdecode(b"\xe9"))
    found = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *DRY, "--batch-size", "8", "--data", str(data), "--json"],
        capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert (found.returncode, found.stderr) == (0, b"")
    assert json.loads(found.stdout.decode(encoding))["config"]["data"] == str(data)


@pytest.mark.usefixtures("painted")
def test_warnings_of_libraries_do_not_reach_the_console(capsys, workplace, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)  # and a picture of 64 for 108 million
    text = (Path(profile.__file__).parent / "profiles" / "nrf52840.toml").read_text("utf-8")
    Path("board.toml").write_text(re.sub(r"(?m)^title.*", 'title = "开发板"', text), "utf-8")
    data = str(image_folder(workplace / "pictures"))
    arguments = [*TINY, "--epochs", "1", "--batch-size", "8", "--data", data, "--device", "board.toml"]
    assert cli.main([*arguments, "--quiet", "--out", "run"]) == 0
    assert capsys.readouterr().err == ""
    assert "开发板" in Path("run/timeline.svg").read_text("utf-8")


def test_a_note_is_one_line_on_stderr_and_python_shows_the_rest_if_it_is_asked(capsys):
    for options, count in (([], 1), (["-Wdefault"], 2)):
        code = "import warnings; from blockwise.system.notes import *\nwith told_in_lines():\n"
        code += " note('two\\nlines'); warnings.warn('of a library')"
        command = [sys.executable, *options, "-c", code]
        found = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
        first, *rest = found.stderr.splitlines()
        assert first == r"blockwise: two\nlines"
        assert len(rest) >= count - 1 and ("of a library" in found.stderr) == (count == 2)


def test_images_take_the_size_that_is_asked_for(capsys):
    assert cli.main([*DRY, "--image-size", "16", "--out", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"]["in_shape"] == [1, 16, 16]


def test_the_version_and_the_boards_are_printed_without_a_run(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"blockwise {__version__}\n"
    assert cli.main(["--list-devices"]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in profile.catalogue())
    assert not Path("runs").exists()


def test_the_help_names_every_flag_and_fits_a_pipe(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert not stop.value.code
    assert [flag for flag in FLAGS if not re.search(rf"--{flag}\b", text)] == []
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 200


def test_the_version_does_not_wait_for_pytorch():
    code = (
        "import sys; from blockwise.cli.main import main; main(['--version']); print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["blockwise", __version__, "False"]


@pytest.mark.slow
def test_a_plan_is_shown_before_compilers_solvers_and_libraries_of_pictures_are_loaded():
    """Importing them takes longer than all of it."""
    slow = ("torch._dynamo", "torch._inductor", "sympy", "sklearn", "scipy", "ortools", "matplotlib")
    code = (
        "import sys; from blockwise import report; from blockwise.cli.commands import compare\n"
        "from blockwise.experiment.compare import compare as compared\n"
        "from blockwise.experiment.prepare import prepare\n"
        "found = compared(prepare(compare.parse(['--dry-run', '--regimes', 'bp'])))\n"
        "report.print_report(report.named(found), report.make_console())\n"
        f"print(*[name for name in {slow} if name in sys.modules], file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Verdict" in found.stdout
    assert found.stderr.split() == []
