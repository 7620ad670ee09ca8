"""The product itself: the command of the README, with nothing but defaults."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[pytest.param((), marks=pytest.mark.long), ("--epochs", "2")], ids=str)
def default_run(request, tmp_path_factory):
    """``python run.py --device stm32 --json``: the finished process and the folder of its run.

    It is long as it is; of 2 epochs instead of 5 it takes less than half the time.
    """
    out = tmp_path_factory.mktemp("default") / "run"
    command = [sys.executable, str(ROOT / "run.py"), "--device", "stm32", "--json", "--out", str(out)]
    command += request.param
    environment = os.environ | {"OMP_NUM_THREADS": "1"}  # the other core is for the other tests
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment), out


@pytest.fixture(scope="module")
def result(default_run):
    return json.loads(default_run[0].stdout)


def test_the_default_command_ends_well_and_prints_its_result_file(default_run, result):
    process, out = default_run
    assert process.returncode == 0, process.stderr
    assert json.loads((out / "result.json").read_text("utf-8")) == result
    written = {path.name for path in out.iterdir()}
    assert written >= {"result.json", "report.html", "timeline.svg", "timeline.png"}


def test_bp_reaches_95_percent_and_local_90_percent_on_digits(result):
    short = 0 if result["config"]["epochs"] == 5 else 0.05
    accuracy = {regime["regime"]: regime["test_accuracy"] for regime in result["regimes"]}
    assert accuracy["bp"] >= 0.95 - short
    assert accuracy["bp-best"] == accuracy["bp"]
    assert accuracy["local"] >= 0.90 - short
    assert accuracy["local-paged"] == accuracy["local"]
    assert accuracy["local-resident"] >= 0.90 - short


def test_the_categories_add_up_to_each_peak_to_the_byte(result):
    for regime in result["regimes"]:
        assert sum(regime["by_category"].values()) == regime["peak_bytes"]
        assert max(moment["live_bytes"] for moment in regime["timeline"]) == regime["peak_bytes"]
        assert sum(tensor["bytes"] for tensor in regime["tensors_at_peak"]) == regime["peak_bytes"]


def test_regimes_that_end_with_the_same_bits_are_trained_once(result):
    same = {regime["regime"]: regime["trained_as"] for regime in result["regimes"]}
    assert same == {
        "bp": "", "bp-best": "bp", "local": "", "local-paged": "local", "local-resident": "",
    }  # fmt: skip
    assert [r["regime"] for r in result["regimes"] if r["host"] is None] == ["bp-best", "local-paged"]


def test_no_form_of_backpropagation_fits_the_320_kib_board(result):
    peaks = {baseline["regime"]: baseline["peak_bytes"] for baseline in result["baselines"]}
    assert not any(baseline["fits"] for baseline in result["baselines"])
    assert {"bp", "bp-fused", "bp-checkpoint", "bp-best", "bp-micro"} <= set(peaks)
    assert min(peaks, key=peaks.get) == "bp-best"


def test_the_tensors_of_what_fits_have_places_beside_the_reserve(result):
    device = result["device"]
    for regime in result["regimes"]:
        arena = regime["arena"]
        assert arena["lower_bound_bytes"] == regime["peak_bytes"] <= arena["arena_bytes"]
        if regime["fits"]:
            assert arena["placed"]
            assert arena["arena_bytes"] <= device["ram_bytes"] - device["reserve_bytes"]


def test_on_the_320_kib_board_plain_bp_does_not_fit_and_block_resident_training_does(result):
    fits = {regime["regime"]: regime["fits"] for regime in result["regimes"]}
    assert result["device"]["ram_bytes"] == 320 * 1024
    assert not fits["bp"]
    assert not fits["local-paged"]  # in RAM it would; its flash holds no ring of 256 KiB erase units
    assert fits["local-resident"]
