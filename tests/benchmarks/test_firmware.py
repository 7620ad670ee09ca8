"""Records of firmware whose estimates alone are renewed."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = json.loads((ROOT / "results" / "benchmarks" / "firmware.json").read_text("utf-8"))["rows"][0]


@pytest.fixture
def firmware(monkeypatch):
    """The command's module."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import firmware

    return firmware


def test_of_a_program_that_is_the_same_only_the_estimate_is_renewed(firmware, capsys):
    assert firmware.estimated(ROW | {"flash_estimate": 1}) == ROW
    assert capsys.readouterr().out.split() == ["niti", "rp2040", "1", "->", f"{ROW['flash_estimate']:,}"]


def test_what_was_measured_of_another_program_is_not_kept(firmware):
    with pytest.raises(SystemExit, match="niti on rp2040: other macs, planned; measure it again"):
        firmware.estimated(ROW | {"macs": 1, "planned": {}})
