"""What keeps a regime from fitting is said in words, whatever it is."""

import dataclasses

import pytest

from blockwise.experiment.result import Result
from blockwise.report.text import KIB
from blockwise.report.trainability import decisive_categories, obstacles


def test_each_regime_that_does_not_fit_names_its_categories_tensor_and_moment(four: Result) -> None:
    sentences = obstacles(four)
    assert [sentence.split()[0] for sentence in sentences] == ["bp", "bp-checkpoint", "local"]
    decisive = "exceeded by latent weights (164.2 KiB) and optimizer state (164.2 KiB) alone"
    assert decisive in sentences[0]
    assert "stage2.conv2 backward in block stage2" in sentences[0]
    assert "largest tensor stage2.conv2.latent (82.1 KiB)" in sentences[0]


def test_the_decisive_categories_are_the_fewest_that_exceed_the_usable_ram(four: Result) -> None:
    usable = four.device.usable_bytes
    assert usable == 312 * KIB
    for regime in four.regimes[:3]:
        taken = [count for _, count in decisive_categories(regime, usable)]
        assert sum(taken) > usable >= sum(taken[:-1])


@pytest.mark.parametrize(("peak", "advised"), [(312 * KIB, True), (312 * KIB + 8, False)])
def test_a_smaller_batch_is_advised_if_its_bytes_fit_beside_the_reserve(
    four: Result, peak: int, advised: bool
) -> None:
    first = dataclasses.replace(four.regimes[0], peak_by_batch={1: peak, 8: 400 * KIB})
    sentence = obstacles(dataclasses.replace(four, regimes=(first,)))[0]
    assert sentence.endswith("Its bytes would fit at batch 1.") == advised


def test_each_reason_within_the_ram_is_told_apart(obstructed: Result) -> None:
    reserve, gaps, lowest, flash = obstacles(obstructed)
    assert "the board has 320 KiB, but 8 KiB of it are reserved" in reserve
    assert "3.3 KiB are missing" in reserve
    assert "takes 322 KiB, 10 KiB too many (a lower one is not ruled out)" in gaps
    assert "takes 322 KiB, 10 KiB too many (none is lower)" in lowest
    state = "state that it pages (3,182.1 KiB, 3,200 KiB in whole erase units)"
    assert f", but the {state} exceeds the board's 2,048 KiB of flash." in flash


def test_ram_and_flash_may_both_be_too_small(obstructed: Result) -> None:
    large = dataclasses.replace(obstructed.regimes[3], peak_bytes=400 * KIB)
    sentence = obstacles(dataclasses.replace(obstructed, regimes=(large,)))[0]
    assert "1.28x the usable RAM" in sentence
    assert "Besides, the state that it pages" in sentence
    assert "would fit" not in sentence


def test_bytes_that_fit_but_in_no_run_of_addresses_are_explained(split_ram: Result) -> None:
    assert "the longest (16 KiB) is 4 KiB too short" in obstacles(split_ram)[0]


def test_regimes_that_fit_have_no_obstacle(default: Result) -> None:
    assert [sentence.split()[0] for sentence in obstacles(default)] == ["bp", "bp-best", "local"]
