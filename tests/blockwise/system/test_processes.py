"""Worker processes end with their parent, and SIGTERM is answered like Ctrl-C."""

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from blockwise.system.processes import process_pool

ROOT = Path(__file__).parents[3]
RUN = (sys.executable, str(ROOT / "run.py"))
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
LONG_FIT = ("fit", "--model", "resnet56", "--max-candidates", "100000", "--jobs", "2")
LONG_RUN = ("--model", "cnn", "--width", "4", "--regimes", "bp", "--epochs", "1000", "--out", "run")


def started(*arguments: str, workers: int) -> tuple[subprocess.Popen, list[psutil.Process]]:
    """The command, and its workers once all of them are there."""
    command = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    parent = psutil.Process(command.pid)
    until = time.monotonic() + 120
    while len(children := parent.children()) < workers:
        assert command.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    return command, children


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux")


@pytest.mark.slow
@LINUX
def test_no_worker_of_fit_outlives_sigterm(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command, children = started(*RUN, *LONG_FIT, workers=2)
    command.terminate()
    _, error = command.communicate(timeout=60)
    assert (command.returncode, error) == (143, "blockwise: interrupted\n")
    assert psutil.wait_procs(children, timeout=30)[1] == []


@LINUX
def test_no_worker_outlives_a_parent_that_is_killed():
    work = "with process_pool(3) as pool: pool.submit(time.sleep, 600).result()"
    code = f"import time; from blockwise.system.processes import process_pool\n{work}"
    command, children = started(sys.executable, "-c", code, workers=3)
    command.kill()
    command.communicate(timeout=60)
    assert psutil.wait_procs(children, timeout=30)[1] == []


FORKING = """
import os, signal
from blockwise.system.interrupts import Terminated, sigterm_raises
from blockwise.system.processes import process_pool
once = [signal.SIGTERM]
os.register_at_fork(after_in_parent=lambda: once and os.kill(os.getpid(), once.pop()))
try:
    with sigterm_raises(), process_pool(2):
        print("lost")
except Terminated:
    print("told")
"""


@LINUX
def test_sigterm_in_the_middle_of_a_fork_is_not_lost():
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("told\n", "")


@pytest.mark.slow
def test_a_terminated_comparison_says_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command, _ = started(*RUN, *LONG_RUN, workers=0)
    assert command.stderr is not None
    assert any(line.startswith("bp: epoch 1/1000") for line in command.stderr)  # behind the plan
    command.terminate()
    _, error = command.communicate(timeout=60)
    assert command.returncode == 143
    assert error.splitlines()[-1] == "blockwise: interrupted; go on with --resume run"
    assert list(Path("run").rglob("*.tmp")) == []


def slow(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def test_an_error_in_the_parent_stops_workers_in_the_middle_of_their_task():
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), process_pool(2) as pool:
        pool.submit(slow, 60)
        raise KeyboardInterrupt
    assert time.monotonic() - began < 30
    assert multiprocessing.active_children() == []


def test_work_done_in_time_comes_back_from_other_processes():
    with process_pool(2) as pool:
        assert os.getpid() not in set(pool.map(slow, [0.0] * 4))
    assert multiprocessing.active_children() == []
