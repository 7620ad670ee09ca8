"""The front door: its plans are the command line's, and its trainings those of the built-in networks."""

import json
import re
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import own_modules as own
import pytest
import torch
from torch import nn

import blockwise
import devices
from blockwise import data, models
from blockwise.cli import main as cli
from blockwise.experiment import exported
from blockwise.experiment.choice import HEAD_CANDIDATES
from blockwise.experiment.export import export
from blockwise.system.exit_codes import NONE_FITS
from devices.boards import profile
from devices.boards.profile import KIB, Region
from devices.errors import InputError
from devices.program.regimes import REGIMES

ROOT = Path(__file__).parents[2]
SHAPE = (1, 8, 8)
SMALL = {"width": 4, "batch_size": 8}


@pytest.mark.slow
def test_a_plan_by_name_is_that_of_the_command_line(capsys, tmp_path):
    flags = ["--model", "cnn", "--width", "4", "--in-shape", "1", "8", "8", "--weight-bits", "4", "--dry-run"]
    cli.main([*flags, "--regimes", "bp", "local-resident", "--json", "--out", str(tmp_path / "run")])
    rows = {row["regime"]: row for row in json.loads(capsys.readouterr().out)["regimes"]}
    for regime, row in rows.items():
        plan = blockwise.plan("cnn", "stm32", regime=regime, in_shape=SHAPE, width=4, weight_bits=4)
        assert (plan.peak_bytes, plan.by_category) == (row["peak_bytes"], row["by_category"])
        assert [moment.live_bytes for moment in plan.timeline] == [m["live_bytes"] for m in row["timeline"]]


def test_a_plan_has_the_shape_and_classes_of_the_data_that_are_named():
    named = blockwise.plan("cnn", data="digits", width=4, batch_size=4)
    assert named.peak_bytes == blockwise.plan("cnn", in_shape=(1, 8, 8), width=4, batch_size=4).peak_bytes
    with pytest.raises(InputError, match="/no/such"):
        blockwise.plan("cnn", data="/no/such")


def test_classes_beside_data_are_refused_of_a_module_as_of_a_name(tmp_path):
    for network in ("cnn", own.Residuals()):
        with pytest.raises(InputError, match=r"--in-shape: got data beside it"):
            blockwise.plan(network, data="digits", classes=5)
    assert blockwise.plan(own.Residuals(), data="digits", in_shape=SHAPE).peak_bytes


def test_firmware_without_images_is_written_and_not_checked(tmp_path):
    asked = {"out": tmp_path / "fw", "regime": "niti-local", "batch_size": 1, "dry_run": True}
    with pytest.raises(InputError, match="--check: got --in-shape beside it, without images"):
        blockwise.write_firmware("plain4", "stm32", in_shape=SHAPE, check=2, **asked)
    assert not (tmp_path / "fw").exists()


def test_a_plan_of_a_module_is_that_of_devices_with_the_same_settings():
    chain = blockwise.from_module(own.Residuals(), SHAPE)
    for regime in REGIMES:
        ours = blockwise.plan(own.Residuals(), "stm32", regime=regime, in_shape=SHAPE, blocks="layers",
                              head="gap", batch_size=8, weight_bits=2, optimizer="adam")  # fmt: skip
        theirs = devices.plan(chain, "stm32", regime=regime, blocks="layers", head="gap", batch_size=8,
                              weight_bits=2, optimizer="adam")  # fmt: skip
        assert ours.peak_bytes == theirs.peak_bytes
        assert ours.by_category == theirs.by_category


def test_boards_are_names_profiles_and_devices():
    device = devices.load("rp2040")
    profile = ROOT / "devices" / "boards" / "profiles" / "rp2040.toml"
    plans = [blockwise.plan("cnn", board, in_shape=SHAPE, **SMALL) for board in ("rp2040", device, profile)]
    assert len({plan.peak_bytes for plan in plans}) == 1
    assert {plan.device.name for plan in plans} == {"rp2040"}


@pytest.mark.slow
def test_the_head_that_is_chosen_for_a_module_is_the_first_that_fits():
    module = own.row()
    chain = blockwise.from_module(module, SHAPE)
    plans = [
        devices.plan(chain, "stm32", regime="local-resident", head=head, batch_size=16)
        for head in HEAD_CANDIDATES
    ]
    first = next(plan for plan in plans if plan.fits)
    assert first is not plans[0]
    found = blockwise.plan(module, "stm32", regime="local-resident", in_shape=SHAPE)
    assert found.by_category == first.by_category


def test_what_looks_at_the_ram_is_chosen_with_a_place_for_each_tensor():
    """The least work within the bytes of both runs has a tensor without a place; one of less RAM has none."""
    how = {"regime": "bp-best", "in_shape": (1, 16, 16), "batch_size": 6, "reserve_kib": 32}
    found = blockwise.plan("cnn", "stm32f405", **how)
    assert found.fits and found.placement.fits
    whole = (Region("RAM", "data", 0x2000_0000, found.device.ram_bytes),)
    roomy = blockwise.plan("cnn", replace(found.device, regions=whole), **how)
    assert roomy.fits and roomy.device.usable_bytes == found.device.usable_bytes
    cheaper = replace(found, schedule=roomy.schedule)
    assert cheaper.may_fit and not cheaper.placement.fits
    assert cheaper.schedule.macs < found.schedule.macs and cheaper.peak_bytes > found.peak_bytes


@pytest.mark.slow
@pytest.mark.parametrize(("name", "regime"), [("cnn", "bp"), ("plain4", "niti"), ("plain4", "niti4-local")])
def test_a_module_is_trained_to_the_bits_of_the_built_in_network_with_its_weights(name, regime, tmp_path):
    torch.manual_seed(0)
    weights = models.build(name, SHAPE, 10, 4)  # as a run of seed 0 starts
    module = nn.Sequential(*weights.units.values())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    how = {"epochs": 1, "batch_size": 32, "digest": True, "blocks": "layers", "head": "gap"}
    torch.save(weights.state_dict(), tmp_path / "weights.pt")  # a name alone would draw integers anew
    start = {} if regime == "bp" else {"init": tmp_path / "weights.pt"}
    built_in = blockwise.train(name, regimes=(regime,), width=4, **how, **start).regimes[0]
    imported = blockwise.train(module, regimes=(regime,), **how).regimes[0]
    assert imported.training.digest == built_in.training.digest
    assert imported.test_accuracy == built_in.test_accuracy
    assert imported.peak_bytes == built_in.peak_bytes
    assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "epochs"),
    [(own.Functions, 3), (own.Residuals, 2), pytest.param(own.Branches, 3, marks=pytest.mark.long)],
)
def test_a_module_of_ones_own_learns_the_digits_globally_and_block_by_block(make, epochs):
    torch.manual_seed(0)  # of the module's weights
    result = blockwise.train(make(), "stm32", regimes=("bp", "local"), epochs=epochs, batch_size=32)
    chance = 0.1
    assert [row.regime for row in result.regimes] == ["bp", "local"]
    assert all(row.test_accuracy > 4 * chance for row in result.regimes)
    assert result.model.name == f"module:{make.__name__}"


@pytest.mark.slow
def test_a_training_is_written_where_it_is_asked_to(tmp_path):
    out = tmp_path / "run"
    result = blockwise.train("cnn", regimes=["bp"], out=out, epochs=1, **SMALL)
    written = json.loads((out / "result.json").read_text("utf-8"))
    assert written["regimes"][0]["test_accuracy"] == result.regimes[0].test_accuracy
    assert {"report.html", "timeline.svg", "config.json"} <= {path.name for path in out.iterdir()}
    with pytest.raises(InputError, match="got a folder that holds a run"):
        blockwise.train("cnn", regimes=["bp"], out=out, epochs=1, **SMALL)


@pytest.mark.slow
def test_a_run_goes_on_with_the_board_that_it_was_given(tmp_path):
    """Its name may be that of another one, which the command line would take."""
    out, stm32 = tmp_path / "run", profile.load("stm32")
    small = replace(stm32, reserve_bytes=stm32.reserve_bytes + 300 * KIB)
    first = blockwise.train("cnn", small, regimes=["bp"], out=out, epochs=1, **SMALL)
    assert first.device.usable_bytes == stm32.usable_bytes - 300 * KIB
    (out / "result.json").unlink()
    cli.main(["--resume", str(out), "--quiet"])
    again = json.loads((out / "result.json").read_text("utf-8"))
    assert again["device"]["reserve_bytes"] == first.device.reserve_bytes
    assert again["regimes"][0]["fits"] == first.regimes[0].fits


def of_three_classes():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


@pytest.mark.slow
def test_the_trained_weights_of_a_module_are_exported_and_give_back_its_accuracy(tmp_path):
    torch.manual_seed(0)
    module, out = own.Residuals(), tmp_path / "run"
    row = blockwise.train(module, regimes=("bp",), out=out, epochs=1, weight_bits=4).regimes[0]
    assert export(out, path=tmp_path / "kept").weights == export(out, own=module).weights
    file = export(out, own=module)
    again, images = exported.load(file.path), data.load("digits", seed=0).test
    right = again(images.images).argmax(1) == images.labels
    assert right.double().mean().item() == pytest.approx(row.test_accuracy, abs=1e-9)
    assert file.weights == sum(p.numel() for p in module.parameters() if p.ndim > 1)


@pytest.mark.slow
def test_a_chain_is_called_what_it_was_made_of():
    chain = blockwise.from_module(own.Residuals(), SHAPE)
    of_name = models.build("cnn", SHAPE, 10, 4)
    how = {"regimes": ("bp",), "epochs": 1, "batch_size": 64, "head": "gap"}
    assert blockwise.train(chain, **how).model.name == "module:Residuals"
    assert blockwise.train(of_name, **how).model.name == "module:cnn"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: blockwise.plan(own.row()), "Sequential: got no in_shape, wanted (channels, height, width)"),
        (lambda: blockwise.plan("cnn", heads="gap"), "setting: got 'heads'; did you mean 'head'"),
        (lambda: blockwise.train("cnn", seeds=(0, 1)), "setting: got 'seeds'"),  # of the command line alone
        (lambda: blockwise.plan("cnn", batch_size="8"), "batch_size: got '8', wanted int"),
        (lambda: blockwise.plan("cnn", batch_size=True), "batch_size: got True, wanted int"),
        (lambda: blockwise.plan("cnn", regimes=("bp",)), "setting regimes: got ('bp',), wanted what the"),
        (lambda: blockwise.plan("cnn", regime="loca"), "regime: got 'loca'; did you mean 'local'"),
        (lambda: blockwise.train("cnn", regimes="loca"), "regime: got 'loca'; did you mean 'local'"),
        (lambda: blockwise.plan(own.row(), in_shape=4), "Sequential: in_shape: got 4, wanted (channels"),
        (lambda: blockwise.plan(own.Residuals, in_shape=SHAPE), "Residuals: got a class, wanted a module"),
        (lambda: blockwise.plan("cnn", "stm3"), "device: got 'stm3'; did you mean 'stm32'"),
        (lambda: blockwise.plan("module:row"), "model module:row: got a name alone"),
        (lambda: blockwise.plan(own.row(), in_shape=SHAPE, width=8), "module:Sequential: got a width"),
        (lambda: blockwise.plan(own.row(), in_shape=SHAPE, classes=3), "--classes: got 3, wanted 10, as"),
        (lambda: blockwise.train(own.row(), blocks="9", regimes=("local",)), "--blocks: got '9'"),
        (
            lambda: blockwise.train(nn.Sequential(nn.Flatten(), nn.Linear(64, 10, device="meta"))),
            "module:Sequential: got weights without values, wanted weights to start from",
        ),
        (lambda: blockwise.train(nn.Linear(3, 2)), "Linear on 1x8x8: got "),
        (
            lambda: blockwise.train(blockwise.from_module(of_three_classes(), SHAPE)),
            "data digits: got images of (1, 8, 8) in 10 classes, wanted (1, 8, 8) in 3",
        ),
        (lambda: devices.plan(own.row(), "stm32"), "model: got a Sequential"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_in_one_line(call, words):
    with pytest.raises(InputError) as refusal:
        call()
    text = str(refusal.value)
    assert all(part in text for part in words.split("; "))
    assert "\n" not in text


def test_a_shape_may_be_an_array_and_what_is_refused_is_an_error_of_the_package():
    shapes = (SHAPE, np.array(SHAPE), list(SHAPE))
    plans = [blockwise.plan(own.row(), in_shape=shape) for shape in shapes]
    assert len({plan.peak_bytes for plan in plans}) == 1
    with pytest.raises(blockwise.InputError):
        blockwise.plan("cnn", "stm3")


def test_the_callers_random_numbers_go_on_where_they_were(tmp_path):
    """Networks that are drawn one after the other are others, whatever happens in between."""
    drawn = []
    for _ in range(2):
        torch.manual_seed(5)
        first = own.Residuals()
        if drawn:
            blockwise.plan(first, in_shape=SHAPE)
            blockwise.train(first, regimes="bp", epochs=1, batch_size=256, seed=3)
            blockwise.write_firmware("plain4", "rp2040", out=tmp_path / "fw", norm="none", **SMALL)
        drawn.append([p.clone() for p in own.Residuals().parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*drawn, strict=True))


def test_a_training_needs_no_gradients_of_the_callers():
    how = {"regimes": ["bp"], "epochs": 1, "batch_size": 64, "width": 4}
    usual = blockwise.train("cnn", **how).regimes[0].test_accuracy
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert blockwise.train("cnn", **how).regimes[0].test_accuracy == usual > 0.2
            assert not torch.is_grad_enabled()


def test_a_module_is_planned_for_the_images_of_a_set():
    module = own.Residuals()
    found = blockwise.plan(module, data="digits", regime="local")
    assert found.peak_bytes == blockwise.plan(module, in_shape=(1, 8, 8), regime="local").peak_bytes
    with pytest.raises(InputError, match="no in_shape"):
        blockwise.plan(module, regime="local")


def test_numbers_of_numpy_are_numbers():
    plain = blockwise.plan("cnn", in_shape=SHAPE, batch_size=8, width=4)
    shape = tuple(np.int64(size) for size in SHAPE)
    assert blockwise.plan("cnn", in_shape=shape, batch_size=np.int64(8), width=np.float32(4)) == plain
    assert blockwise.plan("cnn", in_shape=shape, batch_size=torch.tensor(8), width=np.int64(4)) == plain
    with pytest.raises(InputError, match="batch_size: got"):
        blockwise.plan("cnn", in_shape=shape, batch_size=torch.tensor([8]), width=4)
    module = own.Residuals()
    theirs = blockwise.plan(module, in_shape=shape, batch_size=8)
    assert theirs.peak_bytes == blockwise.plan(module, in_shape=SHAPE, batch_size=8).peak_bytes


def test_a_number_says_what_a_flag_of_words_says_by_a_number():
    for blocks, distill in ((2, 3), (np.int64(2), 3.0)):
        found = blockwise.plan("cnn", in_shape=SHAPE, regime="local", blocks=blocks, distill=distill)
        assert found == blockwise.plan("cnn", in_shape=SHAPE, regime="local", blocks="2", distill="3")


def test_the_command_line_refuses_a_module_by_name(capsys):
    assert cli.main(["--model", "module:Net", "--dry-run"]) == 2
    assert "call blockwise.plan or blockwise.train with it" in capsys.readouterr().err


def test_importing_the_package_waits_for_no_library():
    code = "import blockwise, sys; print(*[m for m in ('torch', 'numpy', 'matplotlib') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def _as_a_module(*arguments, cwd):
    command = [sys.executable, "-m", "blockwise", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.mark.slow
def test_python_m_blockwise_is_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    told = _as_a_module("--help", cwd=tmp_path)
    assert told.returncode == 0
    assert told.stdout.startswith("usage: python -m blockwise [-h]")
    dry = ["--model", "cnn", "--width", "64", "--regimes", "bp", "--dry-run", "--quiet", "--out", "run"]
    planned = _as_a_module("--device", "stm32f103", *dry, cwd=tmp_path)
    assert (planned.returncode, planned.stderr) == (NONE_FITS, "")
    assert planned.stdout.startswith("bp does not fit the board")
    assert (tmp_path / "run" / "result.json").exists()


@pytest.mark.slow
def test_firmware_of_a_name_is_that_of_the_command_line(tmp_path):
    flags = ["--model", "plain4", "--width", "4", "--regime", "niti", "--batch-size", "1", "--quiet"]
    assert cli.main(["firmware", *flags, "--out", str(tmp_path / "command")]) == 0
    found = blockwise.write_firmware(
        "plain4", out=tmp_path / "python", regime="niti", width=4, batch_size=1, check=1
    )
    assert found.checked.equal and found.checked.compared.steps == 1
    for name in found.project:
        assert (tmp_path / "python" / name).read_text() == (tmp_path / "command" / name).read_text()


@pytest.mark.slow
def test_firmware_of_a_module_starts_from_the_weights_that_it_has(tmp_path):
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 10)
    )  # fmt: skip
    settings = {"method": "fp32", "batch_size": 2, "out": tmp_path / "project"}
    found = blockwise.write_firmware(module, "nrf5340", regime="bp-fused", check=1, **settings)
    assert found.checked.equal and found.device.name == "nrf5340"
    words = re.findall(r"0x([0-9A-F]{8})u", (tmp_path / "project" / "first.c").read_text())
    held = {struct.unpack("<f", bytes.fromhex(word)[::-1])[0] for word in words}
    assert set(module[0].weight.flatten().tolist()) <= held


def test_firmware_that_cannot_be_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match=r"a peak of .* bytes, .* too many"):
        blockwise.write_firmware("plain4", "stm32f103", out=tmp_path / "project", regime="niti", width=16)
    with pytest.raises(InputError, match="setting regimes: got"):
        blockwise.write_firmware("plain4", out=tmp_path / "project", regimes=("niti",))
    assert not (tmp_path / "project").exists()
