"""The command line as a user meets it: streams, exit codes, and one line for whatever is wrong."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from command_lines import changed
from PIL import Image

from blockwise import __version__, report
from blockwise.cli import main as cli
from blockwise.cli.commands import compare
from blockwise.system import files
from devices.boards import profile

ROOT = Path(__file__).parents[3]
TINY = ("--model", "cnn", "--width", "4", "--regimes", "bp")
DRY = (*TINY, "--dry-run")
FLAGS = [
    "device", "model", "width", "data", "image-size", "method", "weight-bits", "activation-bits",
    "regimes", "blocks", "head", "optimizer", "lr", "epochs", "batch-size", "update", "seed",
    "accelerator", "compile", "out", "json", "dry-run", "resume", "quiet", "version", "list-devices",
]  # fmt: skip


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    """Each test in a folder of its own, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    return tmp_path


def image_folder(root: Path, train: str = "ab", test: str = "ab") -> Path:
    for split, classes, count in (("train", train, 20), ("test", test, 2)):
        for name in classes:
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = bytes((number + 1) * i * i % 256 for i in range(64))
                Image.frombytes("L", (8, 8), pixels).save(root / split / name / f"{number}.png")
    return root


def refusal(capsys, *arguments: str) -> str:
    """Run what must be refused: exit code 2, one line on stderr, nothing on stdout, no folder."""
    before = set(Path().rglob("*"))
    code = cli.main(changed(arguments))
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith("blockwise: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert {path for path in Path().rglob("*") if ".cache" not in path.parts} == {
        path for path in before if ".cache" not in path.parts
    }
    return err


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--device stm3", "device: got 'stm3'; did you mean 'stm32'"),
        ("--model resnt20", "model: got 'resnt20'; did you mean 'resnet20'"),
        ("--method lqs", "method: got 'lqs'; did you mean 'lsq'"),
        ("--data cifar1", "data set: got 'cifar1'; did you mean 'cifar10'"),
        ("--head gup", "head: got 'gup'; did you mean 'gap'"),
        ("--optimizer adm", "optimizer: got 'adm'; did you mean 'adam'"),
        ("--regimes loca", "regime: got 'loca'; did you mean 'local'"),
        ("--accelerator cud", "--accelerator: got 'cud'; did you mean 'cuda'"),
        ("--update en", "--update: got 'en'; did you mean 'end'"),
        ("--epohcs 3", "command line: got '--epohcs'; did you mean --epochs"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_one(capsys, arguments, words):
    line = refusal(capsys, *DRY, *arguments.split())
    assert all(part in line for part in words.split(";"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--epochs", "--epochs: got no value"),
        ("--resume", "--resume: got no value"),
        ("--epochs many", "--epochs: got 'many', wanted a whole number"),
        ("--width 1.5", "--width: got '1.5', wanted a whole number"),
        ("--lr fast", "--lr: got 'fast', wanted a number"),
        ("extra", "command line: got 'extra'"),
        ("--width 100000", "--width: got 100000, wanted at most 65,536"),
        ("--image-size 100000", "--image-size: got 100000, wanted at most 65,536"),
        ("--image-size 60000", "--image-size: got images of 60000x60000: 6,025 GiB, wanted less than the"),
        ("--batch-size 1000000000", "--batch-size: got 1000000000, wanted at most 16,777,216"),
        ("--micro-batch 1000000000", "--micro-batch: got 1000000000, wanted at most 16,777,216"),
        ("--in-shape 3 100000 32", "--in-shape: got 100000, wanted at most 65,536"),
        ("--in-shape 3 60000 60000", "--in-shape: got 10800000000, wanted at most 1,073,741,824"),
        ("--in-shape 3 32 32 --classes 1000000000", "--classes: got 1000000000, wanted at most 65,536"),
        ("--head lookahead:100000", "head width: got 100000, wanted at most 65,536"),
        ("--epochs 10000000000", "--epochs: got 10000000000, wanted at most 1,000,000"),
        ("--in-shape 3 32", "--in-shape: got '3 32', wanted 3 whole numbers; see"),
        ("--in_shape=3 x 32", "--in-shape: got '3 x 32', wanted 3 whole numbers; see"),
        ("--in-shape 3 32 32 32", "--in-shape: got '3 32 32 32', wanted 3 whole numbers; see"),
        ("--bit-chain 32 four", "--bit-chain: got '32 four', wanted whole numbers; see"),
        ("--model resnet18", "did you mean 'torchvision:resnet18'?"),
        ("--out=", "--out: got nothing, wanted a value"),
        ("--json=1", "command line: got '1'"),
        ("--lr 0", "--lr: got 0.0, wanted a number above 0"),
        ("--lr -1", "--lr: got -1.0, wanted a number above 0"),
        ("--lr nan", "--lr: got nan, wanted a number above 0"),
        ("--epochs 0", "--epochs: got 0, wanted at least 1"),
        ("--seed -1", "--seed: got -1, wanted at least 0"),
        ("--seed 99999999999999999999", "--seed: got 99999999999999999999, wanted at most"),
        ("--width -4", "--width: got -4, wanted at least 1"),
        ("--image-size 0", "--image-size: got 0, wanted at least 1"),
        ("--weight-bits 0", "--weight-bits: got 0, wanted 1 to 8"),
        ("--weight-bits 9", "--weight-bits: got 9, wanted 1 to 8"),
        ("--activation-bits 33", "--activation-bits: got 33, wanted 1 to 8"),
        ("--method lqs", "method: got 'lqs'"),
        ("--regimes niti", "regime niti: got a network with batch norm (conv1.norm)"),
        ("--regimes niti3", "regime niti3: got 3 bits, wanted 8 or 4 bits"),
        ("--regimes niti16-local", "regime niti16-local: got 16 bits, wanted 8 or 4 bits"),
        ("--model resnet20 --norm none --regimes niti", "got a network with a residual sum (stage1_1.add)"),
        ("--model plain4 --head sim --regimes niti-local", "--head: got a similarity loss in the head of"),
        ("--model plain4 --head lookahead:8 --regimes niti-local", "--head: got convolutions, norms or"),
        ("--model plain4 --regimes niti --in-shape 3 32 32 --classes 8192", "got 8,192 classes, wanted"),
        ("--model mlp --norm none --regimes niti --in-shape 3 224 224", "got sums of 150,528 products"),
        ("--model plain4 --head gap --regimes niti-local --in-shape 3 24 24", "a map of 12x12 for 1x1"),
        ("--model plain4 --regimes nitro", "did you mean"),
        ("--model plain6 --blocks 2 --regimes nitro-local", "wanted one layer and a classifier in each"),
        ("--model plain4 --regimes niti --in-shape 3 32 32 --batch-size 131", "wanted at most 130, for"),
        ("--mu 8", "--mu: got 8, wanted 5 to 7"),
        ("--requantize often", "--requantize: got 'often'"),
        ("--method bnn --weight-bits 3", "--weight-bits: got 3, wanted 1 with bnn"),
        ("--method fp32 --weight-bits 3", "--weight-bits: got 3, wanted 32 with fp32"),
        ("--weight-method pact", "--weight-method: got pact, which quantizes activations only"),
        ("--activation-method twn", "--activation-method: got twn, which quantizes weights only"),
        ("--bit-chain 4 8", "--bit-chain: got 4 8, wanted widths of 1 to 32 bits that fall"),
        ("--bit-chain 32 8 4 2 --epochs 3", "--epochs: got 3, wanted at least 4"),
        ("--batch-size 0", "--batch-size: got 0, wanted at least 1"),
        ("--batch-size 100000", "got 100000, wanted 1 to 1368, the training images of digits"),
        ("--blocks 99", "wanted auto, stages, residual, layers, each or a number from 1 to 3"),
        ("--blocks foo", "--blocks: got 'foo'"),
        ("--head lookahead:", "--head: got 'lookahead:'"),
        ("--head lookahead:x", "head width: got 'x'"),
        ("--head gap:3", "head gap: got width 3"),
        ("--regimes local --head sim --batch-size 1", "since the similarity loss compares samples"),
        ("--model mlp --batch-size 1", "images at a time, since the norm of flat features compares samples"),
        ("--regimes bp bp", "--regimes: got bp bp, wanted each regime once"),
        ("--regimes", "--regimes: got none, wanted each regime once"),
        ("--device missing.toml", "missing.toml: got No such file"),
        ("--data ./missing", "image folder missing: got no such folder"),
        ("--data .", "image folder train: got no such folder"),
        ("--resume missing", "--resume missing: got no such folder"),
        ("--resume .", "--resume .: got a folder without a run"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_line_and_exit_code_2(capsys, arguments, words):
    assert words in refusal(capsys, *DRY, *arguments.split())


def test_a_command_that_there_is_none_of_is_answered_with_those_there_are(capsys):
    line = refusal(capsys, "run", "--device", "stm32")
    assert "did you mean" not in line
    assert "wanted one of arena, export, fit, methods, study, or flags alone, which compare regimes" in line
    assert "did you mean 'export'" in refusal(capsys, "exprot")


COMMANDS = ["", "arena", "fit", "methods", "export", "study memory", "study qat", "study precision",
            "study integer"]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_names_what_a_flag_takes_and_not_how_it_is_typed(capsys, command):
    with pytest.raises(SystemExit) as stop:
        cli.main([*command.split(), "--help"])
    text = capsys.readouterr().out
    assert not stop.value.code and "usage: run.py" in text
    assert re.findall(r"\{None\}|\[(?:STR|INT|FLOAT|PATH)\b|STR\]\]", text) == []


def test_a_namesake_of_a_set_is_told_how_it_is_reached(capsys, workplace):
    image_folder(workplace / "digits")
    assert cli.main([*DRY, "--data", "digits", "--quiet"]) == 0
    assert capsys.readouterr().err == (
        "blockwise: data digits: the set of that name is meant; --data ./digits names the folder\n"
    )


@pytest.mark.parametrize(
    ("bits", "method"),
    [
        ("--weight-bits 32", "--weight-method fp32"),
        ("--activation-bits 32", "--activation-method fp32"),
        ("--weight-bits 32 --activation-bits 32", "--method fp32"),
    ],
)
def test_32_bits_are_left_in_float(capsys, bits, method):
    rows = []
    for number, flags in enumerate((bits, method)):
        out = ["--out", str(number), "--json", "--epochs", "1", "--digest"]
        assert cli.main([*TINY, *flags.split(), *out]) == 0
        (row,) = json.loads(capsys.readouterr().out)["regimes"]
        rows.append((row["peak_bytes"], row["training"]["digest"]))
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    "arguments",
    ["--device a --device b", "--device a --json --device a", "--device=a --device b",
     "--no-device --device a", "fit --device a --device b", "study qat --device a --device b",
     "study memory --device a --device b"],
)  # fmt: skip
def test_a_flag_is_not_taken_twice(capsys, arguments):
    assert cli.main(arguments.split()) == 2
    assert capsys.readouterr() == (
        "", "blockwise: --device: got the flag twice, wanted each flag once; name it once, all its values "
        "behind it\n",
    )  # fmt: skip


@pytest.mark.parametrize("flag", ["--out", "--data", "--resume", "--device", "--blocks"])
def test_an_empty_value_is_none(capsys, flag):
    assert f"{flag}: got nothing, wanted a value" in refusal(capsys, *DRY, flag, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--model resnet20 --width 60000", "--width: got 3,758,"),
        ("--head lookahead:60000 --regimes local", "--head: got 64,8"),
    ],
)
def test_a_training_that_no_memory_holds_is_refused_before_it_is_allocated(capsys, arguments, words):
    line = refusal(capsys, *TINY, *arguments.split())
    assert words in line and "parameters to train: " in line and "GiB of this computer" in line


def test_planning_takes_no_memory_for_weights(capsys):
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30)); "
    code += "from blockwise.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "--width", "60000", "--dry-run", "--regimes", "bp", "--quiet"]
    found = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert (found.returncode, found.stderr) == (3, "")
    assert "does not fit" in found.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a computer without CUDA")
def test_cuda_is_refused_before_any_work_where_there_is_none(capsys):
    assert "--accelerator: got cuda" in refusal(capsys, *TINY, "--accelerator", "cuda")


def test_a_profile_with_letters_for_a_number_names_the_key(capsys):
    text = (Path(profile.__file__).parent / "profiles" / "nrf52840.toml").read_text("utf-8")
    Path("board.toml").write_text(re.sub(r"(?m)^clock_mhz.*", 'clock_mhz = "fast"', text), "utf-8")
    assert "board.toml: clock_mhz: got 'fast'" in refusal(capsys, *DRY, "--device", "board.toml")


def test_an_image_folder_that_cannot_be_used_says_why(capsys, workplace):
    image_folder(workplace / "extra", test="abc")
    image_folder(workplace / "single", train="a", test="a")
    torn = image_folder(workplace / "torn") / "train" / "a" / "0.png"
    torn.write_bytes(torn.read_bytes()[:50])
    assert "got class 'c', which train lacks" in refusal(capsys, *DRY, "--data", "./extra")
    assert "got one class, 'a'" in refusal(capsys, *DRY, "--data", "./single")
    assert "torn/train/a/0.png: got a damaged" in refusal(capsys, *DRY, "--data", "./torn")


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_an_out_folder_that_cannot_be_made_is_refused(capsys, out):
    Path("file").write_text("in the way")
    assert f"--out {out}: got " in refusal(capsys, *DRY, "--out", out)
    assert Path("file").read_text() == "in the way"


def test_the_out_folder_of_another_run_is_refused_and_left_alone(capsys):
    assert cli.main([*DRY, "--out", "run"]) == 0
    capsys.readouterr()
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    assert "use another, or --resume run" in refusal(capsys, *DRY, "--out", "run")
    assert before == {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}


# ------------------------------------------------------------------- results


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


def test_quiet_prints_the_verdict_alone(capsys):
    assert cli.main([*TINY, "--epochs", "1", "--out", "run", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert "fits" in out
    assert err == ""


def test_the_report_is_plain_text_where_there_is_no_terminal(capsys):
    assert cli.main([*DRY, "--out", "run"]) == 0
    out, err = capsys.readouterr()
    assert "Verdict" in out
    assert "\x1b" not in out
    assert err == ""


def test_exit_code_3_tells_that_no_regime_fits(capsys):
    assert cli.main(["--device", "stm32f103", "--regimes", "bp", "--dry-run", "--out", "run"]) == 3
    assert "does not fit" in capsys.readouterr().out


def test_float_training_needs_no_bits_and_reports_32(capsys):
    assert cli.main([*DRY, "--method", "fp32", "--out", "run", "--json"]) == 0
    config = json.loads(capsys.readouterr().out)["config"]
    assert (config["weight_bits"], config["activation_bits"]) == (32, 32)


def test_a_folder_of_images_is_known_by_its_own_name(capsys, workplace):
    image_folder(workplace / "pictures" / "birds")
    assert cli.main([*DRY, "--data", str(workplace / "pictures" / "birds"), "--out", "run", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert (data["name"], data["test"]) == ("birds", 4)


def test_a_folder_named_like_a_set_is_reached_by_its_path(capsys, workplace):
    image_folder(workplace / "digits")
    assert cli.main([*DRY, "--data", "./digits", "--out", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["test"] == 4


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


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_console_prints_json_that_reads_back(encoding, workplace):
    data = image_folder(workplace / "名é" / os.fsdecode(b"\xe9"))
    found = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *DRY, "--batch-size", "8", "--data", str(data), "--json"],
        capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert (found.returncode, found.stderr) == (0, b"")
    assert json.loads(found.stdout.decode(encoding))["config"]["data"] == str(data)


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


# ------------------------------------------------------- full disks, closed pipes


def full_disk(monkeypatch, name: str) -> None:
    """No room for the file of this name, once."""
    written = files._write_new

    def write(path, payload):
        if f".{name}." in path:
            monkeypatch.setattr(files, "_write_new", written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        written(path, payload)

    monkeypatch.setattr(files, "_write_new", write)


def test_a_full_disk_at_the_end_leaves_the_answer_and_says_how_to_write_it(capsys, monkeypatch):
    full_disk(monkeypatch, "report.html")
    assert cli.main([*TINY, "--epochs", "1", "--out", "run", "--json"]) == 1
    out, err = capsys.readouterr()
    assert "blockwise: run/report.html: got No space left on device, wanted room for " in err
    assert err.endswith("; free some, then go on with --resume run\n")
    assert not Path("run/result.json").exists()
    assert cli.main(["--resume", "run", "--json"]) == 0
    again, err = capsys.readouterr()
    assert err == ""
    first, second = (json.loads(text)["regimes"][0] for text in (out, again))
    assert first["test_accuracy"] == second["test_accuracy"] is not None
    assert json.loads(again) == json.loads(Path("run/result.json").read_text("utf-8"))


def test_a_full_disk_in_the_middle_costs_the_last_epoch_alone(capsys, monkeypatch):
    full_disk(monkeypatch, "bp.pt")
    assert cli.main([*TINY, "--epochs", "1", "--out", "run"]) == 1
    assert "blockwise: run/checkpoints/bp.pt: got No space left" in capsys.readouterr().err
    assert cli.main(["--resume", "run"]) == 0


def test_a_reader_that_leaves_costs_no_file(capsys, monkeypatch):
    monkeypatch.setattr(report, "print_report", lambda *_: (_ for _ in ()).throw(BrokenPipeError))
    assert cli.main([*DRY, "--out", "run"]) == 1
    assert capsys.readouterr() == ("", "")
    assert Path("run/result.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_an_answer_that_cannot_be_printed_is_told_in_one_line():
    with open("/dev/full", "w") as full:
        command = [sys.executable, str(ROOT / "run.py"), "--version"]
        found = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert found.stderr == (
        "blockwise: standard output: got No space left on device, wanted room for the answer; "
        "print it elsewhere\n"
    )
    assert found.returncode == 1


# ------------------------------------------------------- interruption, resumption


def interrupt(monkeypatch, after: int) -> None:
    """Ctrl-C after that many epochs, once."""
    epochs = iter(range(1, 1_000))
    shown = compare.ConsoleWatcher.epoch

    def stop(self, regime, epoch):
        shown(self, regime, epoch)
        if next(epochs) == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(compare.ConsoleWatcher, "epoch", stop)


def test_an_interrupted_run_says_how_to_go_on_and_goes_on_to_the_same_result(capsys, monkeypatch):
    arguments = (*TINY, "--epochs", "2", "--json", "--digest")
    assert cli.main([*arguments, "--out", "whole"]) == 0
    whole = json.loads(capsys.readouterr().out)["regimes"][0]
    interrupt(monkeypatch, after=1)
    assert cli.main([*arguments, "--out", "halves"]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == "blockwise: interrupted; go on with --resume halves"
    assert cli.main(["--resume", "halves", "--json"]) == 0
    halves = json.loads(capsys.readouterr().out)["regimes"][0]
    assert halves["test_accuracy"] == whole["test_accuracy"]
    losses = [[epoch["train_loss"] for epoch in row["training"]["history"]] for row in (whole, halves)]
    assert losses[0] == losses[1]
    assert halves["training"]["digest"] == whole["training"]["digest"] is not None
    logs = [Path(run, "checkpoints", "bp.digests").read_text() for run in ("halves", "whole")]
    assert logs[0] == logs[1]


def test_a_run_is_not_resumed_under_another_configuration(capsys, monkeypatch):
    interrupt(monkeypatch, after=1)
    assert cli.main([*TINY, "--epochs", "2", "--out", "run"]) == 130
    capsys.readouterr()
    assert "another --epochs than the run has" in refusal(capsys, "--resume", "run", "--epochs", "3")
    assert "got --out new beside it" in refusal(capsys, "--resume", "run", "--out", "new")


def test_damaged_files_of_a_run_are_named(capsys, monkeypatch):
    interrupt(monkeypatch, after=1)
    assert cli.main([*TINY, "--epochs", "2", "--out", "run"]) == 130
    capsys.readouterr()
    shutil.copytree("run", "other")
    config = json.loads(Path("other/config.json").read_text("utf-8"))
    config["training"]["seed"] = 1
    Path("other/config.json").write_text(json.dumps(config), "utf-8")
    assert "bp.pt: got the state of another configuration" in refusal(capsys, "--resume", "other")
    Path("run/checkpoints/bp.pt").write_bytes(b"torn")
    assert "bp.pt: got an unreadable file" in refusal(capsys, "--resume", "run")
    Path("run/config.json").write_text("{", "utf-8")
    assert "config.json: got no valid configuration" in refusal(capsys, "--resume", "run")


def test_a_killed_run_goes_on_from_its_last_epoch(workplace):
    command = (sys.executable, str(ROOT / "run.py"))
    environment = os.environ | {"NO_COLOR": "1"}
    run = subprocess.Popen(
        [*command, *TINY, "--epochs", "10", "--out", "run"],
        stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert run.stderr is not None
    first = run.stderr.readline()
    run.kill()
    run.communicate()
    assert first.startswith("bp: epoch 1/10")
    assert not Path("run/result.json").exists()
    state = torch.load(Path("run/checkpoints/bp.pt"), weights_only=True)
    assert state["progress"]["epoch"] >= 1
    done = subprocess.run(
        [*command, "--resume", "run", "--json"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    history = json.loads(done.stdout)["regimes"][0]["training"]["history"]
    assert [epoch["epoch"] for epoch in history] == list(range(1, 11))
    assert "epoch 1/10" not in done.stderr


def test_the_start_waits_for_no_compiler_and_no_solver():
    """Importing them takes as long as all else together."""
    slow = ("torch._dynamo", "sklearn", "ortools")
    code = (
        f"import blockwise.experiment.config, sys; print(*[name for name in {slow} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
