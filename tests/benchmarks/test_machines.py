"""Documents say what trained a recorded run, and of one that was moved where it began and ended."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from blockwise.studies import records
from blockwise.training.places import Circumstances, Place

ROOT = Path(__file__).parents[2]
HERE = Circumstances(1, "2.15.0+cu132", "AVX512", "", "Intel(R) Xeon(R) Processor (x86_64)")
H200 = Circumstances(1, "2.11.0+cu130", "AVX512", "NVIDIA H200", "Intel(R) Xeon(R) Processor (x86_64)")
XEON = "1 thread of Intel(R) Xeon(R) Processor (x86_64)"


@pytest.fixture
def recorded(monkeypatch):
    """The documents' view of records."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    for name in [name for name in sys.modules if name.partition(".")[0] == "sections"]:
        monkeypatch.delitem(sys.modules, name)
    from sections import recorded

    return recorded


@pytest.fixture
def machines(recorded):
    """Of lines of a record."""
    return recorded.machines


def test_a_document_shows_the_latest_training_alone_of_floats_and_of_integers(
    recorded, monkeypatch, tmp_path
):
    trained = [("bp", 1), ("niti", 1), ("local", 2), ("niti-local", 1), ("bp", 2)]
    lines = [{"key": f"{n}", "regime": regime, "revision": r} for n, (regime, r) in enumerate(trained)]
    monkeypatch.setattr(recorded, "RESULTS", tmp_path)
    (tmp_path / "studies").mkdir()
    records.write(tmp_path / "studies" / "qat_short.jsonl", lines)
    assert [run["key"] for run in recorded.runs_of("qat_short")] == ["1", "2", "3", "4"]


def line(*found: Circumstances) -> dict[str, Any]:
    """Of a training that was in these circumstances for an epoch each."""
    environment = {"threads": "7", "processor": "the last", "torch": "3", "accelerator": "cpu"}
    places = [asdict(Place("", epoch, each)) for epoch, each in enumerate(found, start=1)]
    return {"environment": environment, "places": places}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ((HERE,), f"{XEON}, torch 2.15.0+cu132"),
        ((H200,), "NVIDIA H200, torch 2.11.0+cu130"),
        ((H200, HERE), f"begun on NVIDIA H200 and ended on {XEON}, torch 2.11.0+cu130 and 2.15.0+cu132"),
        (
            (HERE, H200, HERE),
            f"begun on {XEON}, continued on NVIDIA H200 and ended on {XEON}, "
            "torch 2.15.0+cu132 and 2.11.0+cu130",
        ),
    ],
)
def test_a_line_with_places_is_told_by_them(machines, found, told):
    assert machines([line(*found)]) == told


def test_lines_that_were_edited_by_hand_are_told_as_before(machines):
    rows = records.read(ROOT / "results" / "studies" / "qat_full.jsonl")
    moved = [row for row in rows if " to epoch " in row["environment"]["accelerator"]]
    assert len(moved) == 6 and not any("places" in row for row in moved)
    assert machines(moved) == f"begun on NVIDIA H200 and ended on {XEON}, torch 2.15.0+cu132"


def test_a_line_of_an_earlier_version_is_told_by_its_environment(machines):
    older = {"environment": {"threads": "2", "processor": "A Chip", "torch": "2"}}
    assert machines([older, older]) == "2 threads of A Chip, torch 2"
