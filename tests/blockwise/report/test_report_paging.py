"""The cost of paging in plain words, known or not."""

import dataclasses

import pytest

from blockwise.experiment.result import PagingInfo, Result
from blockwise.report.paging import paging_lines


@pytest.fixture
def paging(default: Result) -> PagingInfo:
    """The traffic of the one regime that pages."""
    (found,) = [regime.paging for regime in default.regimes if regime.paging]
    return found


def test_traffic_time_life_and_room_are_a_line_each(default: Result, paging: PagingInfo) -> None:
    assert paging_lines(paging, default) == {
        "traffic": "818.1 KiB read and 818.1 KiB written a step",
        "time": "read 0.97 ms, erase and program 7.3 s a step",
        "flash life": "10,000 steps, all of it used evenly: 80,000 images, "
        "1.8 epochs of 45,000 training images",
        "room": "its state, 818.1 KiB (896 KiB as a ring of erase units), fits the board's 1,024 KiB of "
        "flash; the program comes on top",
    }


def test_what_the_board_does_not_tell_is_unknown(default: Result, paging: PagingInfo) -> None:
    silent = dataclasses.replace(
        paging, read_seconds=None, write_seconds=None, life_steps=None, flash_bytes=0
    )
    lines = paging_lines(silent, default)
    assert lines["time"] == "read unknown, erase and program unknown a step"
    assert lines["flash life"] == "unknown"
    assert lines["room"] == (
        "its state, 818.1 KiB (896 KiB as a ring of erase units), goes to external flash, whose size is open"
    )


def test_a_flash_that_is_too_small_has_no_life(obstructed: Result) -> None:
    paging = obstructed.regimes[3].paging
    assert paging is not None
    lines = paging_lines(paging, obstructed)
    assert lines["flash life"] == "0 steps: it has no room for what a step writes"
    assert lines["room"] == (
        "its state, 3,182.1 KiB (3,200 KiB as a ring of erase units), does not fit the board's 2,048 KiB "
        "of flash"
    )


def test_an_unknown_batch_leaves_the_life_in_steps(default: Result, paging: PagingInfo) -> None:
    bare = dataclasses.replace(default, config={})
    assert paging_lines(paging, bare)["flash life"] == "10,000 steps, all of it used evenly"
