"""One network on several boards: every cell is what the board alone would be told."""

from dataclasses import replace

import pytest

from blockwise.experiment.boards import beside, on_boards
from blockwise.experiment.keywords import config_of
from blockwise.experiment.prepare import named, prepare
from devices import load
from devices.boards.board import Region

REGIMES = ("bp", "bp-best", "local", "local-resident", "niti-local")
SMALL = {
    "model": "plain4", "width": 8, "in_shape": (1, 8, 8), "batch_size": 4, "regimes": REGIMES,
    "dry_run": True,
}  # fmt: skip
BOARDS = ("stm32f103", "rp2040", "stm32")


def prepared_for(**settings):
    return prepare(config_of(SMALL | settings))


def test_a_cell_is_what_a_comparison_of_that_regime_on_that_board_would_show():
    found = on_boards(prepared_for(), {name: load(name) for name in BOARDS})
    assert [row.name for row in found.rows] == ["stm32f103", "rp2040", "stm32f746-disco"]
    for row in found.rows:
        for cell in row.regimes:
            alone = prepared_for(device=row.name, regimes=(cell.regime,))
            plan = alone.plan(cell.regime)
            assert (cell.peak_bytes, cell.fits) == (plan.peak_bytes, plan.fits)
            assert cell.head == (alone.head if "local" in cell.regime else "")
            assert cell.macs_per_step == plan.schedule.macs
            lacking = plan.peak_bytes - alone.device.usable_bytes
            assert cell.missing_bytes == (max(lacking, 0) if not plan.fits else 0)


def test_the_smallest_board_is_the_first_on_which_a_regime_fits_and_its_leanest_is_named():
    found = on_boards(prepared_for(), {name: load(name) for name in reversed(BOARDS)})
    fitting = [row for row in found.rows if any(cell.fits for cell in row.regimes)]
    assert found.smallest is not None and found.smallest == fitting[0]
    assert found.smallest.leanest is not None
    assert found.smallest.leanest.peak_bytes == min(c.peak_bytes for c in fitting[0].regimes if c.fits)


@pytest.mark.parametrize(("lacking", "missing"), [(-8, 0), (0, 0), (8, 8), (4096, 4096)])
def test_what_is_missing_is_what_the_board_is_too_small_by(lacking, missing):
    prepared = prepared_for(regimes=("niti",))
    peak = prepared.plan("niti").peak_bytes
    region = Region("SRAM", "data", 0x2000_0000, peak + 8192 - lacking)
    board = replace(prepared.device, regions=(region,), reserve_bytes=8192)
    (row,) = on_boards(prepared, {board.name: board}).rows
    assert (row.regimes[0].missing_bytes, row.regimes[0].fits) == (missing, not missing)


def test_a_regime_that_cannot_train_the_network_says_why_and_never_fits():
    prepared = named(config_of(SMALL | {"model": "resnet20", "width": 4, "regimes": ("bp", "niti")}))
    (row,) = on_boards(prepared, {"stm32n657": load("stm32n657")}).rows
    assert row.regimes[0].fits and not row.regimes[0].obstacle
    assert row.regimes[1].obstacle and not row.regimes[1].fits


def test_beside_a_run_other_boards_are_planned_with_its_head_and_cut():
    prepared = prepared_for(regimes=("local",), other_devices=("stm32n657", "rp2040"))
    rows = beside(prepared)
    assert [row.name for row in rows] == ["rp2040", "stm32f746-disco", "stm32n657"]
    assert {cell.head for row in rows for cell in row.regimes} == {prepared.head}
    assert {cell.peak_bytes for row in rows for cell in row.regimes} == {prepared.plan("local").peak_bytes}
    assert beside(prepared_for(regimes=("local",))) == ()


def test_of_a_part_of_the_network_a_board_without_flash_in_its_memory_map_fits_nothing():
    asked = config_of(SMALL | {"train": "head", "frozen": "flash", "regimes": ("bp",)})
    found = on_boards(named(asked), {name: load(name) for name in ("stm32", "gap8")})
    fits = {row.name: row.regimes[0].fits for row in found.rows}
    assert fits == {"stm32f746-disco": True, "gap8": False}
    assert found.rows[0].regimes[0].peak_bytes == prepare(asked).plan("bp").peak_bytes
