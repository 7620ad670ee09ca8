"""What is advised comes true: the command needs what was told, and saves what was told."""

from functools import cache

import pytest

from blockwise.cli.commands.compare import parse
from blockwise.experiment.changes import changes
from blockwise.experiment.milder import MILDER, Trial, fewer_bits, leaner_optimizer, smaller_batch
from blockwise.experiment.planned import planned_row
from blockwise.experiment.prepare import prepare
from blockwise.experiment.result import RegimeResult
from blockwise.experiment.step_rows import Change
from devices.program.regimes import find

SMALL = "--in-shape 1 8 8 --dry-run --model"
CASES = {
    "batch norm": f"{SMALL} cnn --device stm32f405 --reserve-kib 60 --regimes bp",
    "blocks": f"{SMALL} plain4 --reserve-kib 250 --regimes local --head gap",
    "integers": f"{SMALL} plain4 --width 16 --reserve-kib 200 --regimes niti-local",
    "the last block": "--model resnet20 --in-shape 3 16 16 --dry-run --device stm32h743 --regimes bp "
    "--batch-size 128 --train last:1",
    "hopeless": f"{SMALL} plain4 --width 16 --reserve-kib 300 --regimes bp",
}


@cache
def planned(words: str) -> tuple[list[RegimeResult], tuple[Change, ...]]:
    prepared = prepare(parse(words.split()))
    rows = [planned_row(prepared, regime) for regime in prepared.config.training.regimes]
    return rows, changes(prepared, rows)


def test_a_command_has_no_setting_that_its_regime_takes_no_notice_of() -> None:
    """It would be refused: of two regimes one has weights that jump."""
    words = "plain4 --width 16 --reserve-kib 200 --blocks layers --head pred-pooled --jump-every 8"
    rows, found = planned(f"{SMALL} {words} --regimes niti niti4-jump-local")
    assert not any(row.fits for row in rows)
    waits = {change.regime: "--jump-every" in change.command for change in found}
    assert waits["niti"] is False and waits["niti4-jump-local"] is True
    for change in found:
        prepare(parse(change.command))


def test_where_weights_in_flash_are_too_large_nothing_is_told_that_only_saves_ram() -> None:
    words = "resnet20 --width 32 --device max78000 --train head --frozen flash --head gap"
    (row,), found = planned(f"{SMALL} {words} --weight-bits 8 --activation-bits 8 --regimes bp")
    assert row.arena.placed and not row.fits
    assert row.lacking_flash_bytes == row.flash_missing_bytes == row.mapped_bytes - 512 * 1024 > 0
    assert all(change.fits for change in found)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_each_command_needs_and_saves_what_was_told(name: str) -> None:
    (row,), found = planned(CASES[name])
    assert not row.fits and found
    for change in found:
        tried = prepare(parse(change.command))
        plan = tried.plan(change.regime)
        assert (plan.peak_bytes, plan.fits) == (change.peak_bytes, change.fits)
        assert change.saved_bytes == row.peak_bytes - plan.peak_bytes > 0
        assert tried.config.training.regimes == (change.regime,)


@pytest.mark.parametrize(
    ("name", "told"),
    {
        "batch norm": ["batch of 8", "optimizer sgd", "fused updates"],
        "blocks": ["optimizer sgd, batch of 2"],
        "integers": ["sums computed twice"],
        "hopeless": [],
    }.items(),
)
def test_the_mildest_changes_that_are_enough_are_told_and_come_first(name: str, told: list[str]) -> None:
    (row,), found = planned(CASES[name])
    own = [change for change in found if change.regime == row.regime]
    assert [change.what for change in own if change.fits] == told
    assert sorted(own, key=lambda change: not change.fits) == own or name == "blocks"


def test_where_nothing_is_enough_all_that_is_left_is_told_together() -> None:
    (row,), found = planned(CASES["hopeless"])
    last = [change for change in found if change.regime == row.regime][-1]
    assert "batch of 1" in last.what and "2-bit" in last.what and not last.fits


def test_other_regimes_that_fit_are_told_where_nothing_does() -> None:
    (row,), found = planned(CASES["batch norm"])
    others = [change for change in found if change.regime != row.regime]
    assert others and all(change.fits and change.what == f"regime {change.regime}" for change in others)


def test_integers_are_told_of_others_of_their_arithmetic() -> None:
    words = "--in-shape 3 32 32 --dry-run --model plain4 --device nrf52840 --regimes niti --batch-size 64"
    (row,), found = planned(words)
    assert not row.fits
    others = [change for change in found if change.regime != "niti"]
    assert others and {find(change.regime).arithmetic for change in others} == {"niti"}
    for change in others:
        plan = prepare(parse(change.command)).plan(change.regime)
        assert plan.fits and plan.peak_bytes == change.peak_bytes


def test_where_everything_fits_nothing_is_advised() -> None:
    rows, found = planned(f"{SMALL} plain4 --regimes bp local")
    assert all(row.fits for row in rows) and found == ()


def test_a_batch_is_the_largest_that_is_enough() -> None:
    _, found = planned(CASES["blocks"])
    command = next(change.command for change in found if change.what == "optimizer sgd, batch of 2")
    words = list(command)
    words[words.index("--batch-size") + 1] = "4"
    assert not prepare(parse(words)).plan("local").fits


def test_settings_become_milder_a_step_at_a_time() -> None:
    start = Trial(parse(["--optimizer", "adam", "--weight-bits", "4", "--activation-bits", "4"]), ())
    first = leaner_optimizer(start, "bp")
    assert first is not None and first.config.training.optimizer == "sgd"
    assert leaner_optimizer(first, "bp") is None
    bits = fewer_bits(start, "bp")
    assert bits is not None and (bits.config.weight_bits, bits.config.activation_bits) == (3, 3)
    halves = smaller_batch(start, "bp")
    assert halves is not None
    again = smaller_batch(halves, "bp")
    assert again is not None and again.words == ("batch of 4",)
    integers = [milder(start, "niti") for milder in MILDER]
    assert [trial.words[0] for trial in integers if trial] == ["sums computed twice", "batch of 8"]
