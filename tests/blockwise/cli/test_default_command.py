"""The product itself: the command of the README, with nothing but defaults."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from blockwise.cli import main as cli

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.slow

WHOLE, PLANNED, TRAINED = (), ("--dry-run",), ("--model", "cnn", "--epochs", "4")


def command(out: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """``python run.py --device stm32 --json``; what is trained in parts in this process."""
    arguments = ["--device", "stm32", "--json", "--out", str(out), *flags]
    if flags == TRAINED:
        with redirect_stdout(io.StringIO()) as stdout, redirect_stderr(io.StringIO()) as stderr:
            code = cli.main(arguments)
        return subprocess.CompletedProcess(arguments, code, stdout.getvalue(), stderr.getvalue())
    command = [sys.executable, str(ROOT / "run.py"), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}  # the other core is for the other tests
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(
    scope="module",
    params=[pytest.param((WHOLE, WHOLE), marks=pytest.mark.long), (PLANNED, TRAINED)],
    ids=["whole", "in parts"],
)
def runs(request, tmp_path_factory):
    """The command as it is, which is long; or as it is planned, and trained on a network of a moment."""
    root = tmp_path_factory.mktemp("default")
    folders = {flags: root / "-".join(("run", *flags)) for flags in request.param}
    made = {flags: (command(out, *flags), out) for flags, out in folders.items()}
    return [made[flags] for flags in request.param]


@pytest.fixture(scope="module")
def planned(runs):
    return json.loads(runs[0][0].stdout)


@pytest.fixture(scope="module")
def trained(runs):
    return json.loads(runs[1][0].stdout)


def test_the_default_command_ends_well_and_prints_its_result_file(runs):
    for process, out in runs:
        assert process.returncode == 0, process.stderr
        assert json.loads((out / "result.json").read_text("utf-8")) == json.loads(process.stdout)
        written = {path.name for path in out.iterdir()}
        assert written >= {"result.json", "report.html", "timeline.svg", "timeline.png"}


def test_bp_reaches_95_percent_and_local_90_percent_on_digits(trained):
    accuracy = {regime["regime"]: regime["test_accuracy"] for regime in trained["regimes"]}
    assert accuracy["bp"] >= 0.95
    assert accuracy["bp-best"] == accuracy["bp"]
    assert accuracy["local"] >= 0.90
    assert accuracy["local-paged"] == accuracy["local"]
    assert accuracy["local-resident"] >= 0.90


def test_the_categories_add_up_to_each_peak_to_the_byte(planned, trained):
    for regime in (*planned["regimes"], *trained["regimes"]):
        assert sum(regime["by_category"].values()) == regime["peak_bytes"]
        assert max(moment["live_bytes"] for moment in regime["timeline"]) == regime["peak_bytes"]
        assert sum(tensor["bytes"] for tensor in regime["tensors_at_peak"]) == regime["peak_bytes"]


def test_regimes_that_end_with_the_same_bits_are_trained_once(trained):
    same = {regime["regime"]: regime["trained_as"] for regime in trained["regimes"]}
    assert same == {
        "bp": "", "bp-best": "bp", "local": "", "local-paged": "local", "local-resident": "",
    }  # fmt: skip
    assert [r["regime"] for r in trained["regimes"] if r["host"] is None] == ["bp-best", "local-paged"]


def test_no_form_of_backpropagation_fits_the_320_kib_board(planned):
    peaks = {baseline["regime"]: baseline["peak_bytes"] for baseline in planned["baselines"]}
    assert not any(baseline["fits"] for baseline in planned["baselines"])
    assert {"bp", "bp-fused", "bp-checkpoint", "bp-best", "bp-micro"} <= set(peaks)
    assert min(peaks, key=peaks.get) == "bp-best"


def test_the_tensors_of_what_fits_have_places_beside_the_reserve(planned):
    device = planned["device"]
    for regime in planned["regimes"]:
        arena = regime["arena"]
        assert arena["lower_bound_bytes"] == regime["peak_bytes"] <= arena["arena_bytes"]
        if regime["fits"]:
            assert arena["placed"]
            assert arena["arena_bytes"] <= device["ram_bytes"] - device["reserve_bytes"]


def test_on_the_320_kib_board_plain_bp_does_not_fit_and_block_resident_training_does(planned):
    fits = {regime["regime"]: regime["fits"] for regime in planned["regimes"]}
    assert planned["device"]["ram_bytes"] == 320 * 1024
    assert not fits["bp"]
    assert not fits["local-paged"]  # in RAM it would; its flash holds no ring of 256 KiB erase units
    assert fits["local-resident"]
