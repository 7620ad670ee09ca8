"""The command line refuses what cannot be: exit code 2, one line, nothing left behind."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from command_runs import DRY, ROOT, TINY, image_folder, refusal

from blockwise.cli import main as cli
from devices.boards import profile


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
        ("--width 1.5", "--width: got 1.5, wanted a whole number"),
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
        ("--validation 1", "--validation: got 1, wanted more than 0 and less than 1"),
        ("--features mfcc", "--features: got 'mfcc', wanted one of log-mel, waveform"),
        ("--features log-mel", "--features: got data digits, wanted a folder train/CLASS/ of .wav files"),
        ("--hold-out 3", "--hold-out: got digits, whose samples have no groups"),
        ("--in-shape 3 32", "model cnn: got inputs of shape 3x32, wanted images (C, H, W);"),
        ("--in-shape 1 3 32 32", "--in-shape: got 4 numbers, wanted C H W of images, C L of signals or F"),
        ("--in_shape=3 x 32", "--in-shape: got '3 x 32', wanted whole numbers; see"),
        ("--in-shape", "--in-shape: got 0 numbers, wanted C H W of images, C L of signals or F of features"),
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
        (
            "--norm batch --dropout 0.2 --regimes niti",
            "regime niti: got a network with batch norm (conv1.norm), wanted layers in a row without norms, "
            "dropout and slopes below zero; use a network of such, as --model plain6, or --norm none, "
            "--dropout 0\n",
        ),
        (
            "--model resnet20 --regimes niti",
            "got a network with a residual sum (stage1_1.add), wanted layers in a row without norms, dropout "
            "and slopes below zero; use a network of such, as --model plain6\n",
        ),
        ("--regimes niti3", "regime niti3: got 3 bits, wanted 8 or 4 bits"),
        ("--regimes niti16-local", "regime niti16-local: got 16 bits, wanted 8 or 4 bits"),
        ("--model resnet20 --norm none --regimes niti", "got a network with a residual sum (stage1_1.add)"),
        ("--model plain4 --head sim --regimes niti-local", "--head: got a similarity loss in the head of"),
        ("--model plain4 --head lookahead:8 --regimes niti-local", "--head: got convolutions, norms or"),
        ("--model plain4 --regimes niti --in-shape 3 32 32 --classes 8192", "got 8,192 classes, wanted"),
        ("--model mlp --norm none --regimes niti --in-shape 3 224 224", "got sums of 150,528 products"),
        ("--model plain4 --head gap --regimes nitro-local --in-shape 3 24 24", "got windows of 12x12, want"),
        ("--augment twice", "--augment: got 'twice', wanted one of default, none"),
        ("--model plain4 --regimes nitro", "did you mean"),
        ("--model plain6 --blocks 2 --regimes nitro-local", "wanted one layer and a classifier in each"),
        ("--model plain4 --regimes niti --in-shape 3 32 32 --batch-size 131", "wanted at most 130, for"),
        ("--train last:0", "--train: got 'last:0', wanted last:N with N from 1"),
        ("--train last:9", "--train: got 'last:9', wanted blocks of 1 to 3, as the network is cut"),
        ("--train blocks:2..4", "--train: got 'blocks:2..4', wanted blocks of 1 to 3"),
        ("--train stage9*", "--train: got 'stage9*', wanted names of layers with weights or"),
        ("--frozen flash", "--frozen: got flash with --train all, wanted something that is not trained"),
        ("--frozen disk --train head", "--frozen: got 'disk'"),
        ("--frozen flash --train head --device gap8", "whose profile has no address of it"),
        ("--model plain4 --bias --train bias --regimes niti", "wanted weights to train, for integer"),
        ("--mu 8", "--mu: got 8, wanted 5 to 7"),
        ("--jump-every 0", "--jump-every: got 0"),
        ("--model plain4 --regimes niti4-jump --jump-every 426", "--jump-every: got 426 batches, of which a"),
        ("--jump-every 2 --regimes niti", "--jump-every: got 2 with niti, wanted a regime whose weights"),
        ("--requantize often", "--requantize: got 'often'"),
        ("--method bnn --weight-bits 3", "--weight-bits: got 3, wanted 1 with bnn"),
        ("--method fp32 --weight-bits 3", "--weight-bits: got 3, wanted 32 with fp32"),
        ("--weight-method pact", "--weight-method: got pact, which quantizes activations only"),
        ("--activation-method twn", "--activation-method: got twn, which quantizes weights only"),
        ("--bit-chain 4 8", "--bit-chain: got 4 8, wanted widths of 1 to 32 bits that fall"),
        ("--bit-chain 32 8 4 2 --epochs 3", "--epochs: got 3, wanted at least 4"),
        ("--batch-size 0", "--batch-size: got 0, wanted at least 1"),
        ("--batch-size 100000", "got 100000, wanted 1 to 1368, the training images of digits"),
        ("--blocks 99", "wanted auto, stages, residual, layers, each, a number from 1 to 3"),
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
    names = "adapt, arena, boards, diff, export, firmware, fit, methods, plan, show, study"
    assert f"wanted one of {names}, or flags alone, which" in line
    assert "did you mean 'export'" in refusal(capsys, "exprot")


COMMANDS = ["", "arena", "boards", "fit", "methods", "export", "study memory", "study qat", "study precision",
            "study integer", "study recipe"]  # fmt: skip


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bits", "method"),
    [
        pytest.param("--weight-bits 32", "--weight-method fp32", marks=pytest.mark.long),
        pytest.param("--activation-bits 32", "--activation-method fp32", marks=pytest.mark.long),
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
        pytest.param("--model resnet20 --width 60000", "--width: got 3,758,", marks=pytest.mark.slow),
        ("--head lookahead:60000 --regimes local", "--head: got 64,8"),
    ],
)
def test_a_training_that_no_memory_holds_is_refused_before_it_is_allocated(capsys, arguments, words):
    line = refusal(capsys, *TINY, *arguments.split())
    assert words in line and "parameters to train: " in line and "GiB of this computer" in line


@pytest.mark.slow
def test_planning_takes_no_memory_for_weights(capsys):
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30)); "
    code += "from blockwise.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "--width", "60000", "--dry-run", "--regimes", "bp", "--quiet"]
    command += ["--blocks", "stages", "--head", "lookahead:8"]
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
