"""The addresses of a step as CSV: what other programs read is what the plan has."""

import csv
import io
from pathlib import Path

import pytest

from blockwise.experiment.result import Result
from blockwise.report import named, write_all
from blockwise.report.arena_csv import arena_csv
from blockwise.report.file_names import arena_name
from devices.memory.arena import Buffer, peak_of
from devices.memory.arena.csv_form import REQUIRED


def test_every_tensor_has_its_address_size_and_lifetime(four: Result) -> None:
    regime = four.regimes[0]
    rows = list(csv.DictReader(io.StringIO(arena_csv(regime))))
    assert len(rows) == len(regime.tensors)
    first, tensor = rows[1], regime.tensors[1]
    assert first == {
        "id": "stage1.weight.state1", "lower": "0", "upper": "27", "size": "18624", "offset": "18624",
        "run": "DTCM", "address": "0x200048c0", "category": "optimizer state", "owner": "stage1",
        "shape": "4656", "bits": "32",
    }  # fmt: skip
    assert (tensor.first, tensor.last) == (0, 26)
    assert set(REQUIRED) <= set(first)
    buffers = [Buffer(r["id"], int(r["size"]), int(r["lower"]), int(r["upper"])) for r in rows]
    moments = range(len(regime.timeline))
    live = [sum(t.bytes for t in regime.tensors if t.first <= m <= t.last) for m in moments]
    assert peak_of(buffers, 8) == max(live)


@pytest.mark.slow
def test_the_files_of_addresses_are_written_where_they_are_asked_for(four: Result, tmp_path: Path) -> None:
    write_all(named(four), tmp_path / "without")
    assert not list((tmp_path / "without").glob("arena*"))
    found = write_all(named(four, arenas=True), tmp_path / "with")
    names = [f"arena-{regime.regime}.csv" for regime in four.regimes]
    assert sorted(path.name for path in (tmp_path / "with").glob("arena*")) == sorted(names)
    assert [found.files[f"addresses of {regime.regime}"] for regime in four.regimes] == names
    assert arena_name("bp-last:2") == "arena-bp-last-2.csv"
