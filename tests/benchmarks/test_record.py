"""A recorded run keeps its figures, and neither what can be computed again nor where it lay."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from sets import pixels

import blockwise


@pytest.fixture
def record(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import record

    yield record
    for name in ("record", "output"):
        sys.modules.pop(name, None)


def test_figures_stay_and_local_paths_go(record, tmp_path):
    labels = np.arange(40) % 2
    parts = {f"x_{part}": pixels(40, 1, 8, 8).numpy() for part in ("train", "test")}
    np.savez(tmp_path / "own.npz", y_train=labels, y_test=labels, **parts)
    blockwise.train(
        "cnn",
        data=tmp_path / "own.npz",
        regimes=("bp", "local"),
        epochs=1,
        batch_size=8,
        out=tmp_path / "run",
    )
    whole = json.loads((tmp_path / "run/result.json").read_text("utf-8"))
    kept = [row["test_accuracy"] for row in whole["regimes"]]
    text = json.dumps(record.slim(whole, "own images"))
    found = json.loads(text)
    assert str(tmp_path) not in text
    assert len(text) < 40_000
    assert found["data"]["name"] == found["config"]["data"] == "own images"
    assert [row["test_accuracy"] for row in found["regimes"]] == kept
