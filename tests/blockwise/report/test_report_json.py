"""result.json: round trip, versions and what JSON cannot spell."""

import dataclasses
import json
from pathlib import Path

import pytest

from blockwise.experiment.result import SCHEMA_VERSION, Result
from blockwise.report import dumps, read, write
from devices.errors import InputError


def test_what_is_written_is_read_back(result: Result, tmp_path: Path) -> None:
    write(result, tmp_path / "result.json")
    data = read(tmp_path / "result.json")
    assert data == json.loads(json.dumps(result.to_json()))
    assert [row["peak_bytes"] for row in data["regimes"]] == [r.peak_bytes for r in result.regimes]
    assert data["fits"] == result.fits


def test_arena_paging_baselines_and_shared_training_are_read_back(default: Result, tmp_path: Path) -> None:
    write(default, tmp_path / "result.json")
    data = read(tmp_path / "result.json")
    rows = {row["regime"]: row for row in data["regimes"]}
    assert data["schema_version"] == 2
    assert data["device"]["reserve_bytes"] == default.device.reserve_bytes
    assert rows["bp"]["arena"] == dataclasses.asdict(default.regimes[0].arena)
    assert rows["bp"]["paging"] is None
    assert rows["local-paged"]["paging"]["life_steps"] == 10_000
    assert (rows["local-paged"]["trained_as"], rows["local-paged"]["host"]) == ("local", None)
    assert rows["local-paged"]["test_accuracy"] == rows["local"]["test_accuracy"]
    assert data["baselines"] == [dataclasses.asdict(baseline) for baseline in default.baselines]


def test_a_second_dump_is_identical(result: Result) -> None:
    assert dumps(result) == dumps(result)


def test_a_diverged_loss_becomes_null(four: Result) -> None:
    regime = four.regimes[0]
    assert regime.training is not None
    epoch = dataclasses.replace(regime.training.history[0], train_loss=float("nan"))
    training = dataclasses.replace(regime.training, history=(epoch,))
    changed = dataclasses.replace(four, regimes=(dataclasses.replace(regime, training=training),))
    row = json.loads(dumps(changed))["regimes"][0]
    assert row["training"]["history"][0]["train_loss"] is None


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        '{"schema_version": 1}',
        '{"schema_version": 3}',
        '{"schema_version": "2"}',
        '{"schema_version": true}',
    ],
)
def test_other_schema_versions_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(InputError, match=f"wanted one of {SCHEMA_VERSION}") as refused:
        read(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_files_that_are_not_json_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not JSON"):
        read(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="result"):
        read(tmp_path / "absent.json")
