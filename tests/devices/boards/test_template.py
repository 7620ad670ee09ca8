"""The profile that a user fills in."""

import tomllib

import pytest

from devices.boards import profile_file
from devices.boards.profile import TEMPLATE, load, parse

TEXT = TEMPLATE.read_text("utf-8")


def test_it_loads_as_it_is_and_is_the_board_that_it_says():
    board, same = parse(TEXT, "my.toml"), load("stm32f405")
    assert board.name == "my-board"
    for figure in ("core", "clock_mhz", "ram_bytes", "usable_bytes", "flash_bytes", "fpu", "dsp"):
        assert getattr(board, figure) == getattr(same, figure)
    ours, theirs = board.flash, same.flash
    assert ours is not None and theirs is not None
    assert (ours.erase_bytes, ours.write_seconds(5000)) == (theirs.erase_bytes, theirs.write_seconds(5000))


@pytest.mark.parametrize("kind", ["_DEVICE_KEYS", "_REGION_KEYS", "_FLASH_KEYS", "_SOURCE_KEYS"])
def test_every_key_of_a_profile_is_in_it(kind):
    keys = getattr(profile_file, kind)
    assert [key for key in keys if f"{key} = " not in TEXT and f"[{key}]" not in TEXT] == []


def test_what_is_commented_out_is_valid_too():
    lines = [line.removeprefix("# ") if " = " in line else line for line in TEXT.splitlines()]
    text = "\n".join(lines).replace("flash_external = false", "flash_external = true")
    assert set(tomllib.loads(text)["flash"]) == set(profile_file._FLASH_KEYS)
    flash = parse(text).flash
    assert flash is not None and flash.part and flash.boot_words and flash.mapped_bytes
