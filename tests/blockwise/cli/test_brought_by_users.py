"""What users bring and may change behind a run: data, model files, places; one line and exit code 2."""

import json

import numpy as np
import pytest

from blockwise.cli import main as cli

PLAN = ["plan", "--model", "net.py:Net", "--in-shape", "1", "8", "8", "--regimes", "bp"]
NET = """
import torch
from torch import nn
from torch.nn.utils import parametrizations


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(4, 10)

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).mean((2, 3)))
"""
COMPUTED = "weights computed of other parameters, as by weight_norm or spectral_norm"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys, *arguments: str) -> str:
    capsys.readouterr()
    assert cli.main([*arguments]) == 2
    out, err = capsys.readouterr()
    line = err.splitlines()[-1]
    assert out == "" and sum(text.startswith("blockwise: ") and ", wanted " in text for text in [line]) <= 1
    return line


def signals(path, seed: int, scale: float, test: int = 20) -> None:
    draw = np.random.default_rng(seed)
    arrays = {}
    for part, count in (("train", 60), ("test", test)):
        arrays[f"x_{part}"] = scale * draw.normal(size=(count, 2, 16)).astype(np.float32)
        arrays[f"y_{part}"] = np.arange(count) % 3
    np.savez(path, **arrays)


@pytest.mark.slow
@pytest.mark.parametrize("changed", [{"scale": 9.0, "test": 20}, {"scale": 1.0, "test": 21}])
def test_a_run_whose_data_were_changed_gives_neither_their_samples_nor_their_constants(here, capsys, changed):
    signals(here / "own.npz", 0, 1.0)
    trained = ["--model", "mlp", "--width", "4", "--data", "own.npz", "--regimes", "bp", "--epochs", "1"]
    assert cli.main([*trained, "--norm", "none", "--batch-size", "8", "--out", "run", "--quiet"]) in (0, 3)
    firmware = ["firmware", "--from", "run", "--regime", "bp", "--out"]
    assert cli.main([*firmware, "before"]) == 0
    assert cli.main(["export", "run", "--out", "a.safetensors", "--test-samples", "a.npz"]) == 0
    assert "got mean other than the run had" in refused(capsys, *firmware, "other", "--seed", "5")
    signals(here / "own.npz", 0 if changed["scale"] == 1 else 1, **changed)
    line = refused(capsys, *firmware, "after")
    assert "other than the run had, wanted the samples that it was trained and tested on" in line
    assert "other than the run had" in refused(
        capsys, "export", "run", "--out", "b.safetensors", "--test-samples", "b.npz"
    )
    assert not any((here / name).exists() for name in ("after", "other", "b.npz"))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys\nsys.exit(0)", "in net.py, line 2: got SystemExit: 0"),
        ("def Net():\n    raise SystemExit(3)", "in net.py, line 2: got SystemExit: 3"),
        ("x = 1\ndef Net(:\n    pass", "in net.py, line 2: got SyntaxError"),
        (NET.replace("nn.Conv2d(1, 4, 3)", "parametrizations.weight_norm(nn.Conv2d(1, 4, 3))"), COMPUTED),
        (NET.replace("nn.Conv2d(1, 4, 3)", "parametrizations.spectral_norm(nn.Conv2d(1, 4, 3))"), COMPUTED),
        (NET.replace("nn.Conv2d(1, 4, 3)", "nn.utils.weight_norm(nn.Conv2d(1, 4, 3))"), COMPUTED),
        (NET.replace("nn.Linear(4, 10)", "nn.LazyLinear(10)"), "Net.fc: got LazyLinear"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_model_file_that_cannot_be_used_is_told_with_its_line_or_layer(here, capsys, code, words):
    (here / "net.py").write_text(code, "utf-8")
    assert words in refused(capsys, *PLAN, "--out", "planned")
    assert not (here / "planned").exists()


def test_what_a_model_file_prints_is_not_in_the_json(here, capsys):
    shouting = NET.replace("super().__init__()", "super().__init__(); print('made')")
    shouting = shouting.replace("return ", "print('run'); return ")
    (here / "net.py").write_text(f"print('read')\n{shouting}", "utf-8")
    assert cli.main([*PLAN, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["model"]["in_shape"] == [1, 8, 8]
    assert all(word in err.splitlines() for word in ("read", "made", "run"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("plan --model plain4 --in-shape 3 16 16 --data no/such", "--in-shape: got --data beside it"),
        (
            "plan --model plain4 --in-shape 3 16 16 --features waveform",
            "--in-shape: got --features beside it",
        ),
        ("plan --init pytorhc", "--init: got 'pytorhc', wanted he, pytorch, or trained weights: the folder"),
        ("plan --model plain4 --in-shape 3 16 16 --hold-out 3", "--in-shape: got --hold-out beside it"),
        ("plan --model plain4 --in-shape 3 16 16 --image-size 8", "--in-shape: got --image-size beside it"),
        ("plan --model plain4 --data digits --classes 3", "--classes: got 3 without --in-shape"),
        ("boards --model plain4 --data digits --in-shape 1 16 16", "--in-shape: got --data beside it"),
        ("boards --model plain4 --data digits --in-shape 3 32 32", "--in-shape: got --data beside it"),
        ("boards --model plain4 --data digits --classes 3", "--classes: got 3 without --in-shape"),
        ("fit --model plain4 --data digits --in-shape 3 32 32", "--in-shape: got --data beside it"),
        ("fit --model plain4 --data digits --in-shape 1 16 16", "--in-shape: got --data beside it"),
        (
            "plan --init nosuchrun",
            "--init: got 'nosuchrun', wanted he, pytorch, or trained weights: the folder",
        ),
        ("firmware --model plain4 --regime niti --out file/x/y", "--out "),
        ("study qat --data digits --model cnn1d --methods lsq --dry-run", "model cnn1d: got inputs of shape"),
    ],
)
def test_flags_that_would_have_no_say_and_places_that_cannot_be_are_refused(here, capsys, arguments, words):
    (here / "file").write_text("mine", "utf-8")
    assert words in refused(capsys, *arguments.split())
    assert (here / "file").read_text("utf-8") == "mine"


def test_boards_that_are_advised_keep_free_what_was_asked_for(capsys):
    asked = ["--device", "nrf52840", "--reserve-kib", "40", "--model", "plain4"]
    line = refused(capsys, "firmware", *asked, "--regime", "bp", "--out", "made")
    assert "has the room" in line and "--device nrf52840" not in line
    space = "--in-shape 1 8 8 --regimes bp --norm batch --batch-size 16 --optimizer sgd-momentum --bits 3"
    assert cli.main(["fit", *asked, *space.split(), "--update", "end", "--jobs", "1"]) == 3
    told = capsys.readouterr().out
    assert "smallest built-in board" in told and "(--device nrf52840)" not in told


def test_boards_take_the_flags_of_zeroth_order(capsys):
    asked = ["boards", "--model", "plain4", "--in-shape", "1", "8", "8", "--device", "stm32", "--json"]
    peaks = []
    for layers in ("1", "3"):
        assert cli.main([*asked, "--regimes", "zo-hybrid", "--zo-backprop", layers]) == 0
        peaks.append(json.loads(capsys.readouterr().out)["rows"][0]["regimes"][0]["peak_bytes"])
    assert peaks[0] < peaks[1]


def test_values_of_a_recipe_that_no_training_has_are_told(capsys):
    asked = [
        "study",
        "recipe",
        "--data",
        "digits",
        "--model",
        "cnn",
        "--regimes",
        "local-resident",
        "--dry-run",
    ]
    asked += ["--bits", "3", "--heads", "gap", "--blocks", "2", "--bit-chains", "none"]
    assert cli.main([*asked, "--distill", "none", "3"]) == 0
    assert "distill: no use for it in local-resident, the base's; not tried" in capsys.readouterr().err


def test_a_hybrid_has_something_to_train_by_backpropagation(capsys):
    asked = ["plan", "--model", "plain4", "--regimes", "zo-hybrid", "--blocks", "layers"]
    line = refused(capsys, *asked, "--train", "blocks:1")
    assert "regime zo-hybrid: got blocks to train in front alone" in line and "use --regimes zo" in line
    assert cli.main([*asked, "--train", "last:2", "--quiet"]) in (0, 3)
