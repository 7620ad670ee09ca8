"""Full disks, closed pipes, interrupted and killed runs: nothing is lost."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from command_runs import DRY, ROOT, TINY, refusal

from blockwise import report
from blockwise.cli import main as cli
from blockwise.cli.commands import compare
from blockwise.system import files
from devices.boards.profile import TEMPLATE

pytestmark = pytest.mark.slow


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
    monkeypatch.setattr(report, "print_report", lambda *_, **__: (_ for _ in ()).throw(BrokenPipeError))
    assert cli.main([*DRY, "--out", "run"]) == 1
    assert capsys.readouterr() == ("", "")
    assert Path("run/result.json").exists()


@pytest.mark.slow
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


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_what_starts_workers_leaves_the_answer_to_an_interruption_to_its_parent():
    command = [sys.executable, ROOT / "run.py", "study", "qat", "--model", "cnn", "--methods", "fp32", "lsq"]
    command += ["--data", "digits", "--epochs", "200", "--workers", "2", "--out", "runs.jsonl"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, process_group=0) as study:
        while study.poll() is None and not any("forkserver" in words for words in of_group(study.pid)):
            time.sleep(0.05)
        time.sleep(0.3)  # it loads PyTorch
        os.killpg(study.pid, signal.SIGINT)
        assert study.stderr is not None
        assert study.stderr.read() == "blockwise: interrupted; the same command goes on\n"
    assert study.returncode == 130


def of_group(group: int) -> list[str]:
    """The command lines of its processes."""
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if os.getpgid(int(process)) == group:
                found.append(Path("/proc", process, "cmdline").read_text())
    return found


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


def test_a_run_is_resumed_with_or_without_digests_as_it_began(capsys, monkeypatch):
    """A log of digests that begins in the middle would number its steps from 1."""
    for flags, other in (((), "--digest"), (("--digest",), "--no-digest")):
        interrupt(monkeypatch, after=1)
        out = f"run{len(flags)}"
        assert cli.main([*TINY, "--epochs", "2", *flags, "--out", out]) == 130
        config = Path(out, "config.json").read_text("utf-8")
        capsys.readouterr()
        assert "another --digest than the run has" in refusal(capsys, "--resume", out, other)
        assert Path(out, "config.json").read_text("utf-8") == config
        assert cli.main(["--resume", out, *flags, "--json"]) == 0
        (row,) = json.loads(capsys.readouterr().out)["regimes"]
        log = Path(out, "checkpoints", "bp.digests")
        assert log.exists() == (row["training"]["digest"] is not None) == bool(flags)
        if flags:
            numbers = [int(line.split()[0]) for line in log.read_text("ascii").splitlines()]
            assert numbers == [*range(1, row["training"]["steps"] + 1)]


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


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_epoch(capsys, workplace):
    command = [sys.executable, str(ROOT / "run.py"), *TINY, "--epochs", "5", "--out", "run"]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"NO_COLOR": "1"})
    assert run.stderr is not None
    first = next(line for line in run.stderr if "epoch" in line)  # behind what is planned
    run.kill()
    run.communicate()
    assert first.startswith("bp: epoch 1/5")
    assert not Path("run/result.json").exists()
    state = torch.load(Path("run/checkpoints/bp.pt"), weights_only=True)
    assert state["progress"]["epoch"] >= 1
    assert cli.main(["--resume", "run", "--json"]) == 0
    out, err = capsys.readouterr()
    history = json.loads(out)["regimes"][0]["training"]["history"]
    assert [epoch["epoch"] for epoch in history] == list(range(1, 6))
    assert "epoch 1/5" not in err


def test_a_run_goes_on_with_its_board_whatever_becomes_of_the_profile(capsys):
    """What of the network is trained hangs on the board here: the checkpoint would be of another training."""
    profile = Path("mine.toml")
    profile.write_text(TEMPLATE.read_text("utf-8").replace('"my-board"', '"mine"'), "utf-8")
    asked = [*TINY, "--train", "sparse:auto", "--device", "mine.toml", "--epochs", "1", "--json"]
    assert cli.main([*asked, "--out", "run"]) == 0
    first = json.loads(capsys.readouterr().out)
    Path("run/result.json").unlink()
    profile.write_text("name = 3\n", "utf-8")
    assert cli.main(["--resume", "run", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    for key in ("device", "data", "model"):
        assert again[key] == first[key]
    (row,), (before,) = again["regimes"], first["regimes"]
    assert row["test_accuracy"] == before["test_accuracy"] is not None
