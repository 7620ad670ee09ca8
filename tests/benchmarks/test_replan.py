"""Recorded trainings are planned anew without a word of what was trained."""

import json
import sys
from pathlib import Path

import pytest

from blockwise.studies import records
from blockwise.system.locks import only_writer
from devices.errors import InputError

ROOT = Path(__file__).parents[2]
FULL = ROOT / "results" / "studies" / "qat_full.jsonl"
LINES = records.read(ROOT / "results" / "benchmarks" / "zeroth_order.jsonl")


@pytest.fixture
def replan(monkeypatch, tmp_path):
    """The command, on records of its own: those that are given, and no runs."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import output
    import replan

    monkeypatch.setattr(output, "ROOT", tmp_path)
    monkeypatch.setattr(replan, "RUNS", ())
    monkeypatch.setattr(replan, "ADAPTED", ())
    return replan


@pytest.mark.parametrize("flags", [[], ["--record"]])
def test_peaks_alone_become_those_of_today_and_only_if_that_is_asked_for(
    replan, flags, monkeypatch, tmp_path, capsys
):
    stale = [LINES[0] | {"peak_kib": 1.0}, *LINES[1:2]]
    path = tmp_path / "results" / "lines.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in stale), "utf-8")
    monkeypatch.setattr(sys, "argv", ["replan.py", *flags])
    replan.main()
    found = records.read(path)
    assert found == (LINES[:2] if flags else stale)
    told = capsys.readouterr().out
    assert "{'peak_kib': 1.0, " in told and "lines.jsonl: 1 of 2 lines have other peaks" in told


def test_a_study_that_ends_a_run_in_the_meantime_is_refused_and_not_overwritten(
    replan, monkeypatch, tmp_path
):
    path = tmp_path / "results" / "lines.jsonl"
    path.parent.mkdir()
    records.write(path, LINES[:1])

    def while_it_is_written(row):
        with pytest.raises(InputError), only_writer(path, "--out", "wait"):
            pass
        return {"peak_kib": 1.0}

    monkeypatch.setattr(replan, "peaks", while_it_is_written)
    monkeypatch.setattr(sys, "argv", ["replan.py", "--record"])
    replan.main()
    assert records.read(path) == [LINES[0] | {"peak_kib": 1.0}]


def test_peaks_with_blocks_in_flash_are_planned_anew_as_well(replan, tmp_path):
    row = next(row for row in records.read(FULL.with_stem("recipe_full")) if row["regime"] == "local")
    assert replan.peaks(row) == {name: row[name] for name in replan.PEAKS}
    path = tmp_path / "lines.jsonl"
    records.write(path, [row | {"paged_kib": [1.0, 1.0]}])
    assert replan.replanned(path) == ([row], 1)


def test_a_network_in_floats_keeps_its_optimizer(replan):
    row = next(row for row in records.read(FULL) if (row["method"], row["optimizer"]) == ("fp32", "adam"))
    assert replan.settings_of(row)["optimizer"] == "adam"
    assert "weight_bits" not in replan.settings_of(row)
    assert replan.peaks(row) == {name: row[name] for name in replan.PEAKS}


def test_another_network_than_was_trained_is_no_plan_of_it(replan):
    with pytest.raises(SystemExit, match="3 trained"):
        replan.peaks(LINES[0] | {"parameters": 3})


def test_ways_to_adapt_take_the_time_of_today_for_as_many_steps_as_they_were_trained(
    replan, monkeypatch, tmp_path
):
    import output

    name = "adapt_time"
    recorded = json.loads((ROOT / "results" / "benchmarks" / f"{name}.json").read_text("utf-8"))
    recorded["rows"] = [row for row in recorded["rows"] if row["way"] in ("local-resident", "niti")]
    slow, kept = recorded["rows"]
    stale = {**recorded, "rows": [{**slow, "instructions": 1, "seconds": 1.0}, kept]}
    path = tmp_path / output.RECORDS / f"{name}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(stale), "utf-8")
    monkeypatch.setattr(replan, "ADAPTED", (name,))
    monkeypatch.setattr(sys, "argv", ["replan.py", "--record", "--only", name])
    replan.main()
    found = json.loads(path.read_text("utf-8"))
    assert found["rows"][0] == {**slow, "seconds": pytest.approx(slow["seconds"])}
    assert found["rows"][1] == kept


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "chosen"),
    [("integer_jumps", lambda row: row["jump_every"] > 1), ("recipe_short", lambda row: row["bit_chain"])],
)
def test_lines_are_planned_with_the_jumps_and_the_stages_that_they_were_trained_with(replan, study, chosen):
    rows = records.read(ROOT / "results" / "studies" / f"{study}.jsonl")
    found = [row for row in rows if chosen(row)]
    assert found
    for row in found:
        assert replan.peaks(row) == {name: row[name] for name in replan.PEAKS}
