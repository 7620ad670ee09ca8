"""The data of the charts say what the result says."""

import base64
import dataclasses
import gzip
import json

import pytest
from hand_made import SCENARIOS
from planned import planned_result

from blockwise.experiment.result import MomentRow, RegimeResult, Result
from blockwise.experiment.step_rows import RunInfo
from blockwise.report.web.addresses import stretches
from blockwise.report.web.payload import FIELDS, changes, packed, payload


@pytest.fixture(scope="module")
def planned() -> Result:
    return planned_result("plain4", ("bp", "local-resident", "niti-local"))


def expanded(flat: list[int], count: int) -> list[int]:
    """What the scripts make of changes."""
    values, ends = [0] * count, [*flat[2::2], count]
    for start, value, end in zip(flat[::2], flat[1::2], ends, strict=False):
        values[start:end] = [value] * (end - start)
    return values


def test_live_bytes_are_those_of_the_timeline(planned: Result) -> None:
    data = payload(planned)
    for drawn, regime in zip(data["regimes"], planned.regimes, strict=True):
        assert [data["names"][o[0]] for o in drawn["operations"]] == [m.operation for m in regime.timeline]
        for category, flat in zip(data["categories"], drawn["live"], strict=True):
            values = expanded(flat, len(regime.timeline))
            assert values == [m.by_category.get(category["name"], 0) for m in regime.timeline]


def test_changes_are_told_once_each() -> None:
    rows = [MomentRow("", "", "", 0, {"a": size} if size else {}) for size in (0, 4, 4, 0, 8)]
    assert changes(rows, "a") == [1, 4, 3, 0, 4, 8]
    assert changes(rows, "b") == []


def test_every_tensor_is_there_with_its_address_and_lifetime(planned: Result) -> None:
    data = payload(planned)
    regime, drawn = planned.regimes[1], data["regimes"][1]
    assert len(drawn["tensors"]) == len(regime.tensors)
    for row, tensor in zip(drawn["tensors"], regime.tensors, strict=True):
        told = dict(zip(FIELDS, row, strict=True))
        assert data["names"][told["name"]] == tensor.name
        assert data["categories"][told["category"]]["name"] == tensor.category
        assert data["names"][told["run"]] == tensor.run
        for field in ("bits", "bytes", "offset", "first", "last"):
            assert told[field] == getattr(tensor, field)


def test_curves_are_of_each_training_once_and_of_each_block_in_turn() -> None:
    result = SCENARIOS["default"]()
    assert [curve["regime"] for curve in payload(result)["curves"]] == ["bp", "local", "local-resident"]
    regime = result.regimes[-1]
    assert regime.training is not None
    history = tuple(
        dataclasses.replace(regime.training.history[0], block=block, epoch=epoch, train_loss=float("nan"))
        for block in ("stage1", "stage2")
        for epoch in (1, 2)
    )
    training = dataclasses.replace(regime.training, history=history)
    (first, second) = payload(
        dataclasses.replace(result, regimes=(dataclasses.replace(regime, training=training),))
    )["curves"]
    assert (first["block"], second["block"], first["epochs"]) == ("stage1", "stage2", [1, 2])
    assert first["loss"] == [None, None]  # JSON has no other word for it


def test_what_is_packed_is_unpacked_and_the_same_each_time(planned: Result) -> None:
    data = payload(planned)
    assert json.loads(gzip.decompress(base64.b64decode(packed(data)))) == data
    assert packed(data) == packed(payload(planned))


def with_runs(regime: RegimeResult, *sizes: int) -> list[tuple[str, int, int, bool]]:
    """The stretches of one tensor of 100 bytes at 50 of run 0, and one of 10 at 0 of each other run."""
    tensor = regime.tensors[0]
    tensors = [
        dataclasses.replace(tensor, run=f"run{i}", offset=0 if i else 50, bytes=10 if i else 100)
        for i in range(len(sizes))
    ]
    runs = [RunInfo(f"run{i}", None, size, 0) for i, size in enumerate(sizes)]
    return [(s.run.name, s.position, s.shown, s.whole) for s in stretches(tensors, runs)]


def test_runs_of_ram_are_laid_end_to_end_and_shown_as_far_as_they_matter(planned: Result) -> None:
    regime = planned.regimes[0]
    assert with_runs(regime, 200, 40) == [("run0", 0, 200, True), ("run1", 200, 40, True)]
    assert with_runs(regime, 120) == [("run0", 0, 150, True)]  # 30 bytes beyond its end
    assert with_runs(regime, 10_000) == [("run0", 0, 188, False)]  # a quarter more than it holds
    assert with_runs(regime, 200, 0)[0] == ("run0", 0, 200, True)
