"""``run.py firmware``: what it writes and prints, what it refuses, and its verdict as an exit code."""

import importlib.util
import json
import re
import shutil

import pytest
from command_lines import changed

import blockwise
from blockwise.cli import main as cli
from blockwise.firmware.emit import project as emitted

TINY = ("firmware", "--model", "plain4", "--width", "4", "--regime", "niti-local", "--batch-size", "1")


def run(capsys, *arguments):
    """Exit code, stdout and stderr."""
    code = cli.main(["firmware", *changed((*TINY[1:], *arguments))])
    return code, *capsys.readouterr()


@pytest.fixture(autouse=True)
def somewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refused(capsys, *arguments):
    code, out, err = run(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    return err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--regime bp-best", "--regime: got bp-best, which has no C form, wanted one of bp, bp-fused, local"),
        ("--regime nite", "regime: got 'nite'; did you mean 'niti'?"),
        ("--model resnet20", "regime niti-local: got a network with a residual sum; use a network of such"),
        ("--regime bp --method dorefa --batch-size 2", "--method: got a quantizer DoReFaActivation"),
        ("--regime bp --optimizer adam --batch-size 2", "--optimizer: got adam, which has no C form"),
        ("--regime bp --bit-chain 32 3 --batch-size 2", "--bit-chain: got a training in stages"),
        ("--device esp32-c3", "firmware for esp32-c3: got a RV32IMC core, wanted one of Cortex-M0+"),
        ("--device stm32n657 --check 1", "--emulator unicorn: got a Cortex-M55; --toolchain gcc"),
        ("--check 0", "--check: got 0, wanted 1 step or more"),
        ("--check many", "--check: got 'many'"),
        ("--in-shape 1 8 8 --check 1", "--check: got --in-shape beside it, without images"),
        ("--in-shape 1 8 8 --regime bp", "--in-shape: got no images, under bp, wanted images"),
        ("--trace", "--trace: got no --check"),
        ("--trace --check 1 --emulator qemu", "--trace: got --emulator qemu, which shows no loads"),
        ("--save-every 0", "--save-every: got 0, wanted 1 step or more"),
        ("--save-every 2 --check 1 --emulator qemu", "--save-every: got --emulator qemu, whose flash is not"),
        ("--toolchain gc --check 1", "--toolchain: got 'gc'; did you mean 'gcc'?"),
        ("--emulator renode --check 1", "--emulator: got 'renode', wanted one of qemu, unicorn"),
        ("--regimes niti", "command line: got '--regimes'; did you mean --regime?"),
        ("--from nowhere", "--from nowhere: got no such folder, wanted the --out of an earlier run"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line_and_nothing_is_left(capsys, tmp_path, arguments, words):
    line = refused(capsys, *arguments.split())
    assert all(part in line for part in words.split(";")), line
    assert not list(tmp_path.rglob("step.c"))


@pytest.mark.slow
def test_a_plan_that_does_not_fit_tells_what_is_missing_and_what_would_help(capsys):
    flags = ("--device", "stm32f103", "--width", "8", "--batch-size", "8", "--head", "gap")
    line = refused(capsys, *flags)
    settings = {"in_shape": (1, 8, 8), "width": 8, "batch_size": 8, "head": "gap"}
    plan = blockwise.plan("plain4", "stm32f103", regime="niti-local", **settings)
    missing = plan.peak_bytes - plan.device.usable_bytes
    assert f"got niti-local with a peak of {plan.peak_bytes:,} bytes, {missing:,} too many" in line
    device = re.search(r"--device (\S+) \(.*\) has the room", line)[1]
    assert run(capsys, *flags, "--device", device, "--out", "there")[0] == 0
    line = refused(capsys, "--regime", "niti4-jump-local", "--device", "stm32f103", "--batch-size", "64")
    batch = re.search(r"--batch-size (\d+) would fit", line)[1]
    smaller = ("--regime", "niti4-jump-local", "--device", "stm32f103", "--batch-size", batch)
    assert run(capsys, *smaller, "--out", "smaller")[0] == 0


@pytest.mark.parametrize("missing", ["ziglang", "unicorn", "elftools"])
def test_a_tool_that_is_missing_is_named_with_what_installs_it(capsys, monkeypatch, missing):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else found(name))
    line = refused(capsys, "--check", "1")
    assert f"{missing}, wanted" in line and "uv sync --extra firmware" in line


def test_a_compiler_that_is_not_there_is_named_with_what_installs_it(capsys, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "got no arm-none-eabi-gcc" in refused(capsys, "--check", "1", "--toolchain", "gcc")
    assert "got no qemu-system-arm" in refused(
        capsys, "--device", "stm32f405", "--check", "1", "--emulator", "qemu"
    )  # fmt: skip


def test_a_folder_that_holds_something_else_is_left_as_it_is(capsys, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    assert "got a folder that holds something else" in refused(capsys, "--out", "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_a_project_is_written_with_its_ram_its_flash_and_what_to_do(capsys, tmp_path):
    code, out, err = run(capsys, "--out", "project")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "RAM",
        "Flash",
        "Files",
        "Check it",
        "Build it",
        "Use it",
    ]
    told = json.loads((tmp_path / "project" / "result.json").read_text())
    (ram,) = told["ram"]
    assert f"{ram['bytes']:,} bytes at {ram['start']:#010x}" in lines[0]
    assert told["arena_bytes"] == ram["bytes"] >= told["peak_bytes"]
    assert told["checked"] is None and told["regime"] == "niti-local" and told["schema_version"] == 1
    assert lines[3].endswith("--out project --check 20")
    there = {
        path.relative_to(tmp_path / "project").as_posix() for path in (tmp_path / "project").rglob("*.*")
    }
    assert set(told["project"]) - {"Makefile"} <= there
    assert run(capsys, "--out", "project")[0] == 0  # what was written by it may be written anew


def test_what_an_engineer_has_changed_or_added_is_not_overwritten(capsys, tmp_path):
    run(capsys, "--out", "project")
    folder = tmp_path / "project"
    (folder / "sensor.c").write_text("int sensor;")
    assert "a project that also holds sensor.c" in refused(capsys, "--out", "project")
    (folder / "sensor.c").unlink()
    (folder / "main.c").write_text("int main(void) { return 0; }")
    assert "a project whose main.c was changed" in refused(capsys, "--out", "project")
    assert (folder / "main.c").read_text() == "int main(void) { return 0; }"


def test_a_check_tells_that_all_is_equal_and_leaves_its_report(capsys, tmp_path):
    code, out, err = run(capsys, "--out", "project", "--check", "2", "--trace")
    assert code == 0, out + err
    assert "equal. All that outlives a step has the bits of the simulation" in " ".join(
        out.replace("│", "").split()
    )
    assert [line.partition(",")[0] for line in err.splitlines()] == ["simulating", "building", "emulating"]
    folder = tmp_path / "project"
    told = json.loads((folder / "result.json").read_text())["checked"]
    assert told["equal"] and told["wrong"] == [] and told["compared"]["steps"] == 2
    assert all(run["planned_bytes"] == run["bytes"] > 0 for run in told["ram"])
    counted = sum(x["instructions"] for x in told["cost"]["operations"]) + told["cost"]["between"]
    assert counted == told["cost"]["instructions"] > 10 * told["cost"]["macs"] // 10
    assert "<svg" in (folder / "report.html").read_text() and (folder / "instructions.png").stat().st_size


@pytest.mark.slow
def test_a_wrong_kernel_is_named_and_ends_with_exit_code_1(capsys, tmp_path, monkeypatch):
    """Every batch's first image is brightened where it is loaded."""
    right = emitted.files

    def wrong(firmware):
        found = dict(right(firmware))
        step = found["step.c"]
        at = step.index("void operation_1(void) {") + len("void operation_1(void) {")
        found["step.c"] = step[:at] + "\n    *blockwise_images() ^= 64;" + step[at:]
        return found

    monkeypatch.setattr(emitted, "files", wrong)
    code, out, _ = run(capsys, "--out", "project", "--check", "2", "--quiet")
    assert code == 1 and "not equal." in out and "after step 0" in out
    assert json.loads((tmp_path / "project" / "result.json").read_text())["checked"]["equal"] is False
