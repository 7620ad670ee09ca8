"""The rows of a step are those of its plan: every byte at its address, every layer with its own bytes."""

import dataclasses
from itertools import pairwise

import pytest

from blockwise.experiment.assumptions import assumptions
from blockwise.experiment.config import Config
from blockwise.experiment.described import device_of
from blockwise.experiment.planned import planned_row
from blockwise.experiment.prepare import prepare
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.result import RegimeResult
from blockwise.experiment.settings import ImageSettings, NetworkSettings, OutputSettings, TrainingSettings

REGIMES = ("bp", "local-resident", "niti-local")


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(
        Config(
            network=NetworkSettings(model="plain4", head="pred-pooled"),
            images=ImageSettings(in_shape=(1, 8, 8)),
            output=OutputSettings(dry_run=True),
        )
    )


@pytest.fixture(scope="module", params=REGIMES)
def row(request: pytest.FixtureRequest, prepared: Prepared) -> RegimeResult:
    return planned_row(prepared, request.param)


def test_the_tensors_of_every_operation_add_up_to_its_live_bytes(row: RegimeResult) -> None:
    for number, moment in enumerate(row.timeline):
        live = [t for t in row.tensors if t.first <= number <= t.last]
        assert sum(t.bytes for t in live) == moment.live_bytes
        for category, size in moment.by_category.items():
            assert sum(t.bytes for t in live if t.category == category) == size


def test_no_two_tensors_share_a_byte_at_a_time(row: RegimeResult) -> None:
    for number in range(len(row.timeline)):
        live = sorted((t.offset, t.offset + t.bytes) for t in row.tensors if t.first <= number <= t.last)
        assert all(end <= start for (_, end), (start, _) in pairwise(live))


def test_what_fits_lies_within_the_boards_runs_below_the_reserve(
    prepared: Prepared, row: RegimeResult
) -> None:
    runs = {run.name: run for run in device_of(prepared).runs}
    assert row.fits
    for tensor in row.tensors:
        run = runs[tensor.run]
        assert 0 <= tensor.offset <= run.bytes - run.reserve_bytes - tensor.bytes
        assert run.start is not None and tensor.address == run.start + tensor.offset


def test_the_layers_of_backpropagation_are_those_of_hand_arithmetic(prepared: Prepared) -> None:
    """Batch 16 of 1x8x8: 8 filters of 3x3, sums in 32 bits, SGD with momentum on float32."""
    row = planned_row(prepared, "bp")
    assert sum(layer.parameters for layer in row.layers) == prepared.network.parameters
    layer = next(layer for layer in row.layers if layer.name == "conv1.conv")
    assert (layer.shape, layer.kind, layer.owner) == ((8, 8, 8), "conv", "conv1")
    assert (layer.weight_bits, layer.parameters, layer.macs) == (8, 8 * 9, 8 * 9 * 64)
    assert (layer.gradient_bytes, layer.optimizer_bytes) == (8 * 9 * 4 + 8, 8 * 9 * 4 + 8)  # a step, padded


def test_the_layers_and_what_is_nobodys_add_up_to_the_peak(row: RegimeResult) -> None:
    names = [layer.name for layer in row.layers]
    peak = next(i for i, m in enumerate(row.timeline) if m.live_bytes == row.peak_bytes)
    live = [t for t in row.tensors if t.first <= peak <= t.last]
    others = [t for t in live if not any(t.name.startswith(f"{name}.") for name in names)]
    assert all(t.name.startswith("batch.") or t.name.endswith(".inputs") for t in others)
    assert sum(layer.peak_bytes for layer in row.layers) + sum(t.bytes for t in others) == row.peak_bytes


def test_rows_are_of_plain_types_that_json_holds(row: RegimeResult) -> None:
    values = [v for r in (*row.tensors, *row.layers) for v in dataclasses.asdict(r).values()]
    assert {type(v) for v in values} <= {int, str, tuple, type(None)}


def test_what_is_read_in_place_from_flash_takes_no_bytes_of_ram():
    training = TrainingSettings(regimes=("bp",), train="head", frozen="flash")
    dry = OutputSettings(dry_run=True)
    asked = Config(images=ImageSettings(in_shape=(1, 8, 8)), training=training, output=dry)
    config = dataclasses.replace(asked, network=NetworkSettings(model="cnn", width=4))
    found = prepare(config)
    row = planned_row(found, "bp")
    mapped = {name for name, t in found.plan("bp").schedule.tensors.items() if t.mapped}
    assert "conv1.conv.codes.frozen" in mapped
    assert not mapped.intersection(tensor.name for tensor in row.tensors)
    assert any("bytes)" in line and "read in place" in line for line in assumptions(found))
