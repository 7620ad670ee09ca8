"""Sections of the studies of methods: which recorded lines they show."""

import sys
from pathlib import Path

import pytest

from blockwise.studies import records

ROOT = Path(__file__).parents[2]


@pytest.fixture
def methods(monkeypatch):
    """The module of those sections."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    for name in [name for name in sys.modules if name.partition(".")[0] == "sections"]:
        monkeypatch.delitem(sys.modules, name)
    from sections import methods

    return methods


def test_runs_of_other_updates_width_or_length_are_experiments_and_rows_of_no_table(methods, monkeypatch):
    """They may explain a row, and change nothing else: neither rows nor float32 beside them."""
    recorded = records.read(ROOT / "results" / "studies" / "qat_full.jsonl")
    before = methods.qat_full(), methods.front()
    others = {"optimizer": "adam", "learning_rate": 0.01, "width": 8, "epochs": 60}
    lines = [row | {name: value, "test_error": 0.9} for row in recorded for name, value in others.items()]
    monkeypatch.setattr(
        methods, "runs_of", lambda name: [*lines, *recorded] if name == "qat_full" else runs_of(name)
    )
    runs_of = sys.modules["sections.recorded"].runs_of
    assert (methods.qat_full(), methods.front()) == before
