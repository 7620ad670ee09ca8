"""NOR flash of a part as programs see it, and what a cut leaves of an operation."""

from random import Random

import pytest

from blockwise.firmware.arenas import Span
from blockwise.firmware.emulators.nor_flash import NorFlash

START = 0x0800_0000


def made():
    return NorFlash(Span("SLOTS", START, 4096), erase_bytes=1024, program_bytes=4)


def done(flash):
    """Asks until nothing runs; the pieces."""
    pieces = []
    while (piece := flash.go_on()) is not None:
        pieces.append(piece)
    return pieces


def test_an_erase_sets_a_whole_sector_piece_by_piece():
    flash = made()
    flash.content[:] = bytes(4096)
    assert flash.erase(START + 1024)
    assert [(at - START, len(piece)) for at, piece in done(flash)] == [(1024 + 64 * i, 64) for i in range(16)]
    assert bytes(flash.content) == bytes(1024) + b"\xff" * 1024 + bytes(2048)


def test_a_unit_is_programmed_once_after_an_erase():
    flash = made()
    assert flash.program(START + 8, b"\x12\x34\x56\x78") and len(done(flash)) == 4
    assert flash.content[4:16] == b"\xff" * 4 + b"\x12\x34\x56\x78" + b"\xff" * 4
    assert not flash.program(START + 8, b"\x00\x34\x56\x78") and not flash.program(
        START + 8, b"\x13\xff\xff\xff"
    )
    assert flash.refused == [
        "a unit programmed twice at 0x08000008", "a bit set by programming at 0x08000008"
    ]  # fmt: skip
    assert flash.erase(START) and done(flash) and flash.program(START + 8, b"\x13\xff\xff\xff")
    assert flash.begun == [("program", 8), ("erase", 0), ("program", 8)]


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda flash: flash.erase(START + 4), "where no sector begins"),
        (lambda flash: flash.erase(START + 4096), "where no sector begins"),
        (lambda flash: flash.erase(START - 1024), "where no sector begins"),
        (lambda flash: flash.program(START + 2, bytes(4)), "which is no unit"),
        (lambda flash: flash.program(START, bytes(8)), "which is no unit"),
    ],
)
def test_what_is_no_sector_or_unit_is_refused(call, why):
    flash = made()
    assert call(flash) is False and flash.running is None
    assert why in flash.refused[0]


def test_nothing_begins_before_the_last_operation_is_done():
    flash = made()
    assert flash.erase(START) and not flash.program(START + 1024, bytes(4))
    assert flash.refused == ["an operation before the last one was done"]


@pytest.mark.parametrize("kind", ["erase", "program"])
def test_a_cut_leaves_every_bit_between_old_and_new(kind):
    """Of 60 cuts some leave the rest as it was, some leave it in between."""
    rests = set()
    for seed in range(60):
        flash = made()
        if kind == "erase":
            flash.content[:] = b"\x0f" * 4096
            flash.erase(START)
        else:
            flash.program(START, b"\x0f" * 4)
        flash.go_on()
        size = 64 if kind == "erase" else 1
        there, rest = bytes(flash.content[:size]), bytes(flash.content[size : 16 * size])
        assert flash.cut(Random(seed)) == kind and flash.running is None
        assert flash.content[:size] == there == (b"\xff" if kind == "erase" else b"\x0f") * size
        found = bytes(flash.content[size : 1024 if kind == "erase" else 4])
        assert all(byte & 0x0F == 0x0F for byte in found)
        rests.add("old" if found == rest[: len(found)] else "between")
    assert rests == {"old", "between"}
    assert made().cut(Random(0)) == ""
