"""Benchmarks leave what documents show alone unless told to record."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TOLD = ("readme", "record", "replan", "output")  # these write what they are told to, and where
IN_PASSING = {"mobilenet": ["write_text"]}
"""A scheme for --train sparse:FILE, in a folder that goes."""
LINE_BY_LINE = ("zeroth_order",)
"""Each run as it ends, so that an interrupted benchmark goes on."""
SCRIPTS = sorted(path.stem for path in BENCHMARKS.glob("*.py") if path.stem not in TOLD)


@pytest.fixture
def baselines(monkeypatch, tmp_path):
    """The benchmark of one regime at one batch size, in a folder of its own."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import baselines
    import output

    monkeypatch.setattr(output, "ROOT", tmp_path)
    monkeypatch.setattr(baselines, "BATCHES", (1,))
    monkeypatch.setattr(baselines, "EAGER", ("bp",))
    return baselines


@pytest.mark.parametrize(
    ("flags", "folder", "told"),
    [([], "runs/benchmarks", ""), (["--record"], "results/benchmarks", "python benchmarks/readme.py")],
)
def test_figures_are_recorded_only_if_that_is_asked_for(
    baselines, flags, folder, told, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(sys, "argv", ["baselines.py", *flags])
    assert baselines.main() == 0
    (found,) = tmp_path.rglob("*.json")
    assert found == tmp_path / folder / "baselines.json"
    (row,) = json.loads(found.read_text("utf-8"))["rows"]
    assert row["pytorch_bytes"] == row["counted_bytes"] > row["device_bytes"] > 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "baselines.json" in line)
    assert line.startswith(f"{folder}/baselines.json")
    assert told in line


def test_times_of_methods_stand_together_until_the_conditions_change(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import output
    import quantizers

    monkeypatch.setattr(output, "ROOT", tmp_path)
    ran = [("lsq", 9), ("pact", 9), ("pact", 9), ("sat", 5)]
    found = []
    for method, rounds in ran:
        quantizers.add("eager", method, {"ratio": 2.0}, quantizers.conditions_of(2, rounds), record=False)
        kept = json.loads((tmp_path / "runs" / "benchmarks" / "quantizers.json").read_text("utf-8"))
        found.append(list(kept["eager"]["methods"]))
    assert found == [["lsq"], ["lsq", "pact"], ["lsq", "pact"], ["sat"]]


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_benchmark_keeps_its_figures_in_this_way(name):
    """Its own name, so that its record is found; and no other way to write a file."""
    source = (BENCHMARKS / f"{name}.py").read_text("utf-8")
    way = "file_of" if name in LINE_BY_LINE else "keep"
    assert source.count(f'output.{way}("{name}", ') == 1
    assert "output.parser(__doc__)" in source
    ways = ("atomic_write", "write_text", " open(", "results/")
    assert [way for way in ways if way in source] == IN_PASSING.get(name, [])
