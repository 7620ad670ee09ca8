"""Flash as a place written at run time: times and wear by hand, and what holds for any part."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.boards.flash import Flash
from devices.errors import InputError

KIB = 1024

PAGES = Flash(
    size_bytes=64 * KIB,
    external=False,
    erase_bytes=1000,
    erase_ms=20,
    program_bytes=10,
    program_us=50,
    read_bytes_per_s=2_000_000,
    erase_cycles=10_000,
    source="datasheet",
)


@st.composite
def flashes(draw: st.DrawFn) -> Flash:
    """Any flash on the chip with all of its times known."""
    program = draw(st.integers(1, 512))
    return Flash(
        size_bytes=2**30,
        external=False,
        program_bytes=program,
        erase_bytes=program * draw(st.integers(1, 4096)),
        erase_ms=draw(st.floats(0.1, 5000)),
        program_us=draw(st.floats(0.1, 5000)),
        read_bytes_per_s=draw(st.integers(1, 10**9)),
        erase_cycles=draw(st.integers(1, 10**6)),
        source="drawn",
    )


BYTES = st.integers(0, 2**24)


# By hand


@pytest.mark.parametrize(("n", "units"), [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2), (64000, 64)])
def test_bytes_take_whole_erase_units(n: int, units: int) -> None:
    assert PAGES.erase_units(n) == units


@pytest.mark.parametrize(
    ("n", "seconds"),
    [
        (0, 0.0),
        (1, 0.020 + 0.000_050),  # one unit, one operation
        (1000, 0.020 + 100 * 0.000_050),
        (1001, 2 * 0.020 + 101 * 0.000_050),  # the second unit is erased for one operation
    ],
)
def test_a_write_erases_its_units_and_programs_its_bytes(n: int, seconds: float) -> None:
    assert PAGES.write_seconds(n) == pytest.approx(seconds)


def test_reading_takes_bytes_over_rate() -> None:
    assert PAGES.read_seconds(0) == 0
    assert PAGES.read_seconds(500_000) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("n", "room", "writes"),
    [
        (1000, 1000, 10_000),  # one copy, erased each time
        (1000, 3999, 30_000),  # three copies in turn, the rest of the room is too small
        (1001, 3999, 10_000),  # a copy takes two units: one copy
        (1001, 1999, 0),
        (1, 64_000, 640_000),
    ],
)
def test_life_is_copies_that_find_room_times_cycles(n: int, room: int, writes: int) -> None:
    assert PAGES.life_in_writes(n, room) == writes


# What is not known


@pytest.mark.parametrize("unknown", ["erase_ms", "program_us"])
def test_a_write_of_unknown_speed_takes_unknown_time_but_its_wear_is_known(unknown: str) -> None:
    flash = replace(PAGES, **{unknown: None})
    assert flash.write_seconds(1) is None
    assert flash.read_seconds(2_000_000) == 1
    assert flash.life_in_writes(1000, 1000) == 10_000


def test_reading_at_an_unknown_rate_takes_unknown_time() -> None:
    flash = replace(PAGES, read_bytes_per_s=None)
    assert flash.read_seconds(1) is None
    assert flash.write_seconds(1) is not None


# What holds for any flash


@given(flashes(), BYTES, BYTES)
def test_more_bytes_never_take_less_time(flash: Flash, a: int, b: int) -> None:
    fewer, more = sorted((a, b))
    assert flash.write_seconds(fewer) <= flash.write_seconds(more)
    assert flash.read_seconds(fewer) <= flash.read_seconds(more)


@given(flashes(), st.integers(1, 2**24), st.integers(1, 2**24), BYTES)
def test_more_bytes_never_live_longer(flash: Flash, a: int, b: int, room: int) -> None:
    fewer, more = sorted((a, b))
    assert flash.life_in_writes(fewer, room) >= flash.life_in_writes(more, room)


@given(flashes(), st.integers(1, 2**24), BYTES, BYTES)
def test_more_room_never_shortens_life(flash: Flash, n: int, a: int, b: int) -> None:
    less, more = sorted((a, b))
    assert flash.life_in_writes(n, less) <= flash.life_in_writes(n, more)


@given(flashes(), st.integers(1, 2**20), st.integers(0, 2**24))
def test_no_erase_unit_is_erased_more_often_than_it_survives(flash: Flash, n: int, room: int) -> None:
    erases = flash.life_in_writes(n, room) * flash.erase_units(n)
    assert erases <= room // flash.erase_bytes * flash.erase_cycles


# Everything that can be wrong


@pytest.mark.parametrize(
    "name",
    ["erase_bytes", "program_bytes", "erase_cycles", "erase_ms", "program_us", "read_bytes_per_s"],
)
@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
def test_a_figure_that_is_not_above_zero_is_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^flash: {name}: got {value}, wanted a number above 0"):
        replace(PAGES, **{name: value})


def test_an_erase_unit_holds_a_whole_number_of_program_operations() -> None:
    with pytest.raises(InputError, match=r"^flash: program_bytes: got 16, wanted a divisor of .* 1000"):
        replace(PAGES, program_bytes=16)


def test_an_erase_unit_is_no_larger_than_the_flash() -> None:
    with pytest.raises(InputError, match=r"^flash: erase_bytes: got 1000, wanted at most .* 999 bytes"):
        replace(PAGES, size_bytes=999)
    assert replace(PAGES, size_bytes=0, external=True, part="chip").erase_units(1) == 1


def test_an_external_chip_is_named_and_one_on_the_chip_is_not() -> None:
    with pytest.raises(InputError, match=r"^flash: part: got no name"):
        replace(PAGES, external=True)
    with pytest.raises(InputError, match=r"^flash: part: got 'W25Q128JV', wanted no part"):
        replace(PAGES, part="W25Q128JV")


def test_counts_below_zero_are_refused() -> None:
    for call in (PAGES.erase_units, PAGES.read_seconds, PAGES.write_seconds):
        with pytest.raises(InputError, match=r"^bytes of flash: got -1, wanted 0 or more"):
            call(-1)
    with pytest.raises(InputError, match=r"^bytes of flash: got -1"):
        PAGES.life_in_writes(1, -1)


def test_the_life_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"^bytes to write: got 0, wanted 1 or more"):
        PAGES.life_in_writes(0, 1000)


# Where programs lie in it


def test_a_program_has_what_the_boot_stage_leaves_of_a_mapped_flash():
    assert PAGES.program_room == 0  # no address: no program
    assert replace(PAGES, start=0x0800_0000).program_room == 64 * KIB
    external = replace(PAGES, size_bytes=0, external=True, part="chip", start=0x1000_0000)
    assert external.program_room == 0  # nothing says how much of it is mapped
    assert replace(external, mapped_bytes=2 * KIB, boot_bytes=256).program_room == 2 * KIB - 256
    assert replace(external, size_bytes=64 * KIB, mapped_bytes=2 * KIB).program_room == 2 * KIB


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ({"mapped_bytes": KIB}, "mapped_kib"),
        ({"start": 2**32 - KIB}, "start"),
        ({"start": 0, "boot_bytes": 64 * KIB}, "start"),
    ],
)
def test_a_place_that_cannot_be_is_refused(edit, told):
    with pytest.raises(InputError, match=f"flash: {told}"):
        replace(PAGES, **edit)
