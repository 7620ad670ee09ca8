"""Where trainings run, as flags say it."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from ray_head import WITH_RAY

from blockwise.cli import main as cli
from blockwise.cli.executing import Executing
from blockwise.executors.processes import Processes
from blockwise.executors.ray import Ray
from blockwise.executors.ray_flights import Share
from blockwise.executors.remote import Remote
from blockwise.executors.serial import Serial
from blockwise.executors.storage import Folder
from blockwise.system.processes import cores
from devices.errors import InputError

ROOT = Path(__file__).parents[3]
STUDY = [
    "study", "qat", "--data", "digits", "--model", "cnn", "--methods", "fp32", "lsq", "--epochs", "1000",
    "--out", "s.jsonl",
]  # fmt: skip
FIT = ["fit", "--train", "2", "--data", "digits"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "RAY_worker_niceness": "0"}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_after_the_other_unless_workers_are_asked_for():
    assert Executing().made() == Executing(workers=1).made() == Serial()
    assert Executing(threads=3).made() == Serial(3)
    assert Executing(executor="processes").made() == Processes(cores(), 1)


def test_a_share_of_gpus_is_a_part_of_one_or_some(monkeypatch):
    monkeypatch.setattr("blockwise.cli.executing.check_installed", lambda: None)
    for share in (0.0, 0.25, 1.0, 2.0):
        asked = Executing(executor="ray", gpus_per_run=share, workers=1, threads=1)
        assert asked.made() == Ray(Share(1, share), 1)
    for share in (-0.5, -1.0, -3.0, 1.5, float("nan"), float("inf")):
        with pytest.raises(InputError, match="--gpus-per-run: got "):
            Executing(executor="ray", gpus_per_run=share)


def test_a_cluster_gives_a_training_one_thread_unless_told(monkeypatch):
    monkeypatch.setattr("blockwise.cli.executing.check_installed", lambda: None)
    assert Executing(ray_address="a:1").made() == Ray(Share(1), None, "a:1")
    assert Executing(ray_address="a:1", threads=4, workers=9).made() == Ray(Share(4), 9, "a:1")


def test_trainings_keep_what_they_go_on_from_beside_the_record_unless_told(here):
    assert Executing().kept_in(Path("runs")) == Folder(Path("runs"))
    assert Executing(workers=2).kept_in(Path("runs")) == Folder(here / "runs")
    assert Executing(storage="kept").kept_in(Path("runs")) == Folder(Path("kept"))
    assert Executing(storage=f"file://{here}/far").kept_in(Path("runs")) == Remote(f"file://{here}/far")
    (here / "file").touch()
    with pytest.raises(InputError, match="--storage file/kept: got Not a directory"):
        Executing(storage="file/kept").kept_in(Path("runs"))


def test_the_cores_are_shared_out_among_the_workers(monkeypatch):
    monkeypatch.setattr("blockwise.cli.executing.cores", lambda: 8)
    assert Executing(workers=3).made() == Processes(3, 2)
    assert Executing(workers=20).made() == Processes(20, 1)
    assert Executing(workers=3, threads=4).made() == Processes(3, 4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workers", "0"], "--workers: got 0"),
        (["--threads", "0"], "--threads: got 0"),
        (["--executor", "slurm"], "--executor: got 'slurm', wanted one of processes, "),
        (["--executor", "serial", "--workers", "2"], "--workers: got 2 beside --executor serial"),
        (["--executor", "processes", "--ray-address", "a:1"], "--ray-address: got a:1 beside --executor p"),
        (["--gpus-per-run", "0.5"], "--gpus-per-run: got 0.5 beside --executor serial, wanted --executor"),
    ],
)
@pytest.mark.parametrize("command", [STUDY, FIT], ids=["study", "fit"])
def test_bad_input_is_one_line_and_leaves_nothing_behind(command, arguments, words, here, capsys):
    assert cli.main([*command, *arguments]) == 2
    out, err = capsys.readouterr()
    assert words in err
    assert (out, err.count("\n")) == ("", 1)
    assert list(here.iterdir()) == []


@pytest.fixture
def temporary():
    """A folder for temporary files, with a name that is short enough for sockets in it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="process groups are asked for as on Linux")
@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(["--workers", "2"], id="processes"),
        pytest.param(["--executor", "ray", "--workers", "2"], id="ray", marks=[pytest.mark.long, WITH_RAY]),
    ],
)
def test_ctrl_c_leaves_no_process_and_no_half_file(flags, here, temporary):
    """It reaches every process of the group, as from a terminal."""
    command = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *STUDY, *flags], env=ENVIRONMENT | {"TMPDIR": str(temporary)},
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert command.stderr is not None
    seen = {line.split()[0] for line, _ in zip(command.stderr, range(4), strict=False)}
    children = psutil.Process(command.pid).children(recursive=True)
    os.killpg(command.pid, signal.SIGINT)
    _, error = command.communicate(timeout=60)
    assert command.returncode == 130
    assert error.splitlines()[-1] == "blockwise: interrupted; the same command goes on"
    assert seen and psutil.wait_procs(children, timeout=30)[1] == []
    left = sorted(path.name for path in here.iterdir())
    # PyTorch makes a folder for what it compiles
    assert [path.name for path in temporary.iterdir() if not path.name.startswith("torchinductor")] == []
    assert left and all(name.startswith("s-") and name.endswith(".pt") for name in left)
