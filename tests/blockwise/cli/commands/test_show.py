"""The reports of runs that are behind: as they were told, and beside each other."""

import json
from pathlib import Path

import pytest
from command_runs import DRY, refusal

from blockwise.cli import main as cli
from blockwise.experiment import prepare


@pytest.mark.slow
def test_a_run_is_shown_as_it_was_told_without_planning_again(capsys, monkeypatch):
    assert cli.main([*DRY, "--out", "run"]) == 0
    first = capsys.readouterr().out
    assert cli.main([*DRY, "--batch-size", "4", "--out", "other"]) == 0
    capsys.readouterr()
    monkeypatch.setattr(prepare, "prepare", lambda *_: 1 / 0)
    assert cli.main(["show", "run"]) == 0
    assert capsys.readouterr().out == first
    assert cli.main(["show", "run", "--full"]) == 0
    assert "Alive at the peak" in capsys.readouterr().out
    assert cli.main(["show", "run/result.json", "--quiet"]) == 0
    assert capsys.readouterr().out.startswith("bp fits the board")
    assert cli.main(["show", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(Path("run/result.json").read_text("utf-8"))
    assert cli.main(["diff", "run", "other"]) == 0
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["batch_size", "16", "4"] in told
    saved = next(row for row in told if row[:1] == ["saved"])
    assert float(saved[3]) == pytest.approx(float(saved[2]) / 4, abs=0.1)  # a quarter of the images


def test_what_is_no_run_is_refused_in_one_line(capsys):
    assert "run none: got no such folder" in refusal(capsys, "show", "none")
    assert "PATH: got nothing, wanted the folder of the run, or of the runs of --seeds;" in refusal(
        capsys, "show"
    )
    assert "run none: got no such folder" in refusal(capsys, "diff", "none", "none")
