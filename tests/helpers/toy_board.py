"""Profiles of a toy board, whole and edited."""

import pytest

from devices.boards.profile import (
    KIB,
    PROFILES,
    Device,
    Region,
    parse,
)
from devices.errors import InputError

BOARDS = sorted(path.stem for path in PROFILES.glob("*.toml"))
GOOD = """
name = "toy"
title = "Toy board"
aliases = ["toy-1"]
core = "Cortex-M4F"
clock_mhz = 100
fpu = true
dsp = true
ram_kib = 96
flash_kib = 512
flash_external = false

[[regions]]
name = "A"
kind = "data"
start = 0x2000_0000
size_kib = 64

[[regions]]
name = "B"
kind = "data"
start = 0x2001_0000
size_kib = 32

[sources]
ram = "datasheet"
flash = "datasheet"
core = "datasheet"
"""
WRITABLE = (
    GOOD
    + """
[flash]
erase_bytes = 2048
erase_ms = 22.5
program_bytes = 8
program_us = 80
read_bytes_per_s = 1_000_000
erase_cycles = 10_000
source = "datasheet"
"""
)


def edited(old: str, new: str) -> str:
    """The good profile with its first `old` replaced."""
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def edited_flash(old: str, new: str) -> str:
    """The good profile with a [flash] table whose first `old` is replaced."""
    assert old in WRITABLE
    return WRITABLE.replace(old, new, 1)


def error_of(text: str) -> str:
    """The message that parsing `text` as toy.toml raises."""
    with pytest.raises(InputError) as caught:
        parse(text, "toy.toml")
    return str(caught.value)


def region(name: str, start: int | None, size_kib: int) -> Region:
    return Region(name, "data", start, size_kib * KIB)


def toy(*regions: Region, name: str = "toy", aliases: tuple[str, ...] = ()) -> Device:
    return Device(name, "Toy", "Cortex-M4F", 100, regions, 512 * KIB, False, True, True, aliases=aliases)
