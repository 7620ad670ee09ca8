"""Rows of a comparison that cannot be trained say so, and nothing is measured by them."""

import dataclasses

import pytest

from blockwise import report
from blockwise.experiment.compare import compare
from blockwise.experiment.config import Config
from blockwise.experiment.planned import BATCHES
from blockwise.experiment.prepare import prepare
from blockwise.experiment.result import Result
from blockwise.experiment.settings import ImageSettings, NetworkSettings, OutputSettings, TrainingSettings


def planned(regimes: tuple[str, ...] = ("bp", "local"), batch: int = 32, **network: object) -> Result:
    config = Config(
        network=NetworkSettings(**{"model": "vgg8b", "width": 8, "blocks": "2", "head": "gap"} | network),
        images=ImageSettings(in_shape=(3, 16, 16)),
        training=TrainingSettings(regimes, batch_size=batch),
        output=OutputSettings(dry_run=True),
    )
    return compare(prepare(config))


def lines_of(result: Result) -> list[str]:
    console = report.make_console()
    with console.capture() as capture:
        console.print(report.render(result))
    return capture.get().splitlines()


def test_a_form_of_backpropagation_that_cannot_run_is_never_the_best_nor_the_divisor():
    result = planned()
    rows = {row.regime: row for row in result.baselines}
    micro = rows["bp-micro"]
    assert micro.peak_bytes == min(row.peak_bytes for row in result.baselines)  # if it could run
    assert "compares samples (hidden.norm)" in micro.obstacle and not micro.fits
    assert result.best_baseline.regime != "bp-micro" and not result.best_baseline.obstacle
    lines = lines_of(result)
    (row,) = [line for line in lines if line.startswith("bp-micro")]
    assert row.split()[1:4] == ["-", "-", "-"] and "cannot run: one image alone" in row
    (ratio,) = [line for line in lines if line.startswith("best bp : regime")]
    best = result.best_baseline.peak_bytes / result.regimes[0].peak_bytes
    assert ratio.split()[4] == f"{best:.2f}x"


def test_the_best_baseline_is_bp_micro_where_nothing_compares_images():
    assert planned(norm="group").best_baseline.regime == "bp-micro"


def test_the_lowest_bp_best_is_listed_where_only_a_form_that_cannot_run_lies_below_it():
    result = planned()
    lowest = [row for row in result.baselines if row.regime == "bp-best, lowest"]
    runnable = [row.peak_bytes for row in result.baselines if not row.obstacle and row not in lowest]
    assert all(row.peak_bytes < min(runnable) for row in lowest)


@pytest.mark.slow
def test_batch_sizes_at_which_a_regime_cannot_run_have_a_dash_and_a_reason():
    result = planned()
    for regime in result.regimes:
        assert list(regime.peak_by_batch) == [8, 32, 128] and list(regime.obstacle_by_batch) == [1]
    lines = lines_of(result)
    (row,) = [line for line in lines if line.startswith("at batch 1 ")]
    assert row.split() == ["at", "batch", "1", "-", "-"]
    text = " ".join(" ".join(lines).split())
    assert "- bp at batch 1 and local at batch 1 cannot run: one image alone, but the norm of flat" in text


def test_local_heads_stand_in_the_way_of_local_regimes_only():
    result = planned(("bp", "local"), model="cnn", head="predsim")
    bp, local = result.regimes
    assert list(bp.peak_by_batch) == list(BATCHES) and not bp.obstacle_by_batch
    assert list(local.obstacle_by_batch) == [1]
    alone = planned(("bp",), batch=1, model="cnn", head="predsim")
    assert [row.obstacle for row in alone.baselines] == [""] * len(alone.baselines)


def test_integer_limits_are_known_at_other_batch_sizes():
    (regime,) = planned(("niti",), 32, model="plain4", head="auto").regimes
    assert not regime.obstacle_by_batch
    config = Config(
        network=NetworkSettings("plain4", 8), images=ImageSettings(in_shape=(3, 64, 64)),
        training=TrainingSettings(("niti",), batch_size=8), output=OutputSettings(dry_run=True),
    )  # fmt: skip
    (regime,) = compare(prepare(config)).regimes
    assert list(regime.peak_by_batch) == [1, 8, 32]  # 133,144 products over 4,096 positions
    assert "more than 32 images" in regime.obstacle_by_batch[128]


def test_a_result_with_obstacles_is_json():
    result = planned()
    data = result.to_json()
    assert data["regimes"][0]["obstacle_by_batch"][1] == result.regimes[0].obstacle_by_batch[1]
    assert list(data["baselines"]) == [dataclasses.asdict(row) for row in result.baselines]
