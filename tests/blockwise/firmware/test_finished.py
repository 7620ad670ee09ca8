"""Weights of a finished run as those that firmware starts from."""

import json
import re
import subprocess
from dataclasses import replace

import pytest
import torch

import blockwise
from blockwise.cli import main as cli
from blockwise.experiment.settings import BoardSettings
from blockwise.firmware.emit.project import project
from blockwise.firmware.finished import prepared_with, settings_of, weights_of
from blockwise.firmware.making import firmware_of
from blockwise.firmware.toolchains import host
from blockwise.models.files import source
from blockwise.training.digest import digest
from devices.errors import InputError

RUNS = {
    "integers": ["--model", "plain4", "--regimes", "niti-local", "niti"],
    "floats": ["--model", "cnn", "--regimes", "bp", "bp-fused", "bp-best", "--method", "lsq"],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name, flags in RUNS.items():
        more = ["--width", "4", "--epochs", "1", "--batch-size", "64", "--quiet", "--out", str(folder / name)]
        assert cli.main([*flags, *more]) == 0
    return folder


def checkpoint(folder, regime):
    return torch.load(folder / "checkpoints" / f"{regime}.pt", weights_only=True)["net"]


def made(folder, regime, **board):
    weights, config = weights_of(folder, regime), settings_of(folder)
    config = replace(config, board=BoardSettings(**board)) if board else config
    return firmware_of(prepared_with(weights, config), regime, weights)


@pytest.mark.slow
def test_an_integer_run_gives_its_weights_and_the_states_of_its_generators(runs):
    trained = checkpoint(runs / "integers", "niti-local")
    firmware = made(runs / "integers", "niti-local", device="rp2040")
    assert firmware.given is not None and firmware.device.name == "rp2040"
    for what in (".weight", ".generator"):
        key = what if what == ".weight" else ".random_state"
        mask = 0xFF if what == ".weight" else 0xFFFFFFFF
        given = {bits(value, mask) for name, value in firmware.given.items() if name.endswith(what)}
        wanted = {bits(value, mask) for name, value in trained.items() if name.endswith(key)}
        assert given <= wanted and len(given) >= 7 * (what == ".weight")


def bits(value, mask):
    return tuple(int(word) & mask for word in value.flatten())


@pytest.mark.slow
@pytest.mark.parametrize("regime", ["bp", "bp-fused"])
def test_a_float_run_gives_its_latent_weights_steps_and_statistics(runs, regime):
    trained = checkpoint(runs / "floats", "bp")  # with whose bits bp-fused ends
    first = made(runs / "floats", regime).arithmetic.first
    rows = [value.flatten() for value in first.values()]
    for name, value in trained.items():
        if re.search(r"^bodies.*(\.weight|\.bias|\.running_mean|\.running_var|\.step)$", name):
            wanted = value.flatten()
            found = (row.unfold(0, len(wanted), 1) for row in rows if len(row) >= len(wanted))
            assert any((windows == wanted).all(1).any() for windows in found), name


SHOW = """
#include "blockwise.h"
#include <stdio.h>
int main(void) {
    blockwise_init(7);
    blockwise_state_write(blockwise_given);
    printf("%08x", (unsigned)blockwise_checksum());
}
"""


@pytest.mark.slow
def test_the_program_that_starts_from_them_has_the_digest_of_the_training(runs, tmp_path):
    project(made(runs / "integers", "niti"), tmp_path / "project")
    (tmp_path / "project" / "main.c").write_text(SHOW)
    program = host.build(tmp_path / "project", "main", tmp_path / "show")
    found = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    trained = checkpoint(runs / "integers", "niti")
    names = [
        n for n in trained if n.endswith("weight") and (n.startswith("bodies") or n.startswith("heads.3"))
    ]
    assert found == digest([trained[name] for name in names])


def test_without_a_name_it_is_the_most_accurate_regime_that_has_a_c_form(runs):
    found = weights_of(runs / "integers")
    rows = json.loads((runs / "integers" / "result.json").read_text())["regimes"]
    best = max(rows, key=lambda row: row["test_accuracy"])
    assert found.regime == best["regime"] and "the most accurate" in found.why
    assert weights_of(runs / "floats").regime == "bp"  # not bp-best, which has none


def test_what_was_not_trained_there_is_refused(runs, tmp_path):
    with pytest.raises(InputError, match="got niti4, which was not trained to its end there"):
        weights_of(runs / "integers", "niti4")
    with pytest.raises(InputError, match="no such folder"):
        weights_of(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text((runs / "integers" / "config.json").read_text())
    with pytest.raises(InputError, match=f"finish it with --resume {tmp_path}"):
        weights_of(tmp_path)


def test_other_settings_than_those_of_its_weights_are_refused(runs, capsys):
    run = str(runs / "integers")
    for flags in (["--width", "8"], ["--model", "plain6"], ["--data", "cifar10"], ["--weight-bits", "4"]):
        assert cli.main(["firmware", "--from", run, *flags]) == 2
        assert f"got another {flags[0]} than the run has" in capsys.readouterr().err


NET = """from torch import nn
class Net(nn.Sequential):
    def __init__(self):
        layers = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10)
        super().__init__(*layers)
"""
OVERLAPPING = NET.replace("nn.MaxPool2d(2)", "nn.MaxPool2d(3, 2, 1)")


def test_a_network_and_first_weights_of_ones_own_are_those_that_the_run_kept(capsys, tmp_path):
    """Whatever became of their files: the emitted C is that of the network that was trained."""
    file, first = tmp_path / "net.py", tmp_path / "first.pt"
    file.write_text(NET)
    torch.save(source.load(file, "Net", (1, 8, 8), 10).state_dict(), first)
    named = ["--model", f"{file}:Net", "--init", str(first), "--data", "digits", "--regimes", "bp"]
    more = ["--epochs", "1", "--batch-size", "64", "--quiet", "--out", str(tmp_path / "run")]
    assert cli.main([*named, *more]) == 0
    asked = ["firmware", "--from", str(tmp_path / "run"), "--json", "--out"]
    assert cli.main([*asked, str(tmp_path / "before")]) == 0
    first.unlink()
    file.write_text(OVERLAPPING)
    assert cli.main([*asked, str(tmp_path / "edited")]) == 0
    file.unlink()
    assert cli.main([*asked, str(tmp_path / "gone")]) == 0
    before, edited, gone = (
        {path.name: path.read_text() for path in sorted((tmp_path / name).glob("*.[ch]"))}
        for name in ("before", "edited", "gone")
    )
    assert before == edited == gone and "step.c" in before


def test_so_is_a_module_that_was_given_from_python(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    module = source.load(tmp_path / "net.py", "Net", (1, 8, 8), 10)
    blockwise.train(module, regimes=("bp",), epochs=1, batch_size=64, method="fp32", out=tmp_path / "run")
    assert (
        cli.main(["firmware", "--from", str(tmp_path / "run"), "--quiet", "--out", str(tmp_path / "c")]) == 0
    )
    found = [value.flatten() for value in made(tmp_path / "run", "bp").arithmetic.first.values()]
    (wanted,) = [w.flatten() for w in checkpoint(tmp_path / "run", "bp").values() if w.shape == (10, 64)]
    assert any((row.unfold(0, 640, 1) == wanted).all(1).any() for row in found if len(row) >= 640)


@pytest.mark.slow
def test_a_regime_that_does_not_jump_is_taken_out_of_a_run_in_which_another_waits(capsys, tmp_path):
    run = ["--model", "plain4", "--width", "2", "--regimes", "niti", "niti4-jump", "--jump-every", "8"]
    more = ["--epochs", "1", "--batch-size", "64", "--quiet", "--out", str(tmp_path / "run")]
    assert cli.main([*run, *more]) == 0
    for regime, every in (("niti", 1), ("niti4-jump", 8)):
        asked = ["firmware", "--from", str(tmp_path / "run"), "--regime", regime, "--json"]
        capsys.readouterr()
        assert cli.main([*asked, "--out", str(tmp_path / regime)]) == 0
        assert json.loads(capsys.readouterr().out)["config"]["jump_every"] == every


def test_the_settings_of_a_run_are_the_defaults(runs, capsys, tmp_path):
    out = tmp_path / "project"
    asked = ["firmware", "--from", str(runs / "integers"), "--regime", "niti", "--batch-size", "2"]
    assert cli.main([*asked, "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["regime"], told["batch_size"], told["model"]["width"]) == ("niti", 2, 4)
    assert told["weights_from"] == str(runs / "integers") and "weights.c" in told["project"]
