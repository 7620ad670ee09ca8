"""Recorded trainings on integers: networks that are not the same stand in tables of their own."""

import sys
from pathlib import Path

import pytest


@pytest.fixture
def integers(monkeypatch):
    """The section, from the folder of benchmarks."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    for name in [name for name in sys.modules if name.partition(".")[0] == "sections"]:
        monkeypatch.delitem(sys.modules, name)
    from sections import integers

    return integers


def test_a_run_of_another_width_is_no_seed_of_the_same_row(integers, monkeypatch):
    runs = [run for run in integers.runs_of("integer_jumps") if run["regime"] == "niti4-jump"]
    wide = runs[0] | {"width": 64, "test_error": 0.1, "key": "another"}
    monkeypatch.setattr(integers, "runs_of", lambda name: [*runs, wide] if name == "integer_jumps" else [])
    text = integers.integer_goal()
    assert text.count("with plain4 at width 16") == text.count("with plain4 at width 64") == 1
    assert text.count("| numbers |") == 2 and "n = 2" not in text
