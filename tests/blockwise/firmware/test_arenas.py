"""The board's memory as firmware uses it: addresses from the profile and the placement alone."""

import dataclasses

import pytest
from stand_in import StandIn

from blockwise.firmware.arenas import Span, heights_of, memory_map
from devices.boards.profile import KIB, load
from devices.errors import InputError
from devices.memory.arena import Buffer, place_on

F405 = load("stm32f405")


def test_tensors_in_two_runs_have_an_array_each_at_the_addresses_of_the_chip():
    buffers = [Buffer("large", 120 * KIB, 0, 2), Buffer("other", 50 * KIB, 0, 2)]
    placement = place_on(buffers, F405, F405.reserve_bytes)
    memory = memory_map(F405, heights_of(placement))
    assert [(a.name, a.section, a.start, a.size_bytes) for a in memory.arrays] == [
        ("blockwise_ram0", ".arena0", 0x1000_0000, 50 * KIB),
        ("blockwise_ram1", ".arena1", 0x2000_0000, 120 * KIB),
    ]
    assert memory.planned_bytes == 170 * KIB
    starts = {place.address for place in placement.places.values()}
    assert starts == {array.start for array in memory.arrays}


def test_the_reserve_is_the_end_of_the_smallest_run_that_holds_it():
    memory = memory_map(F405, {})
    assert memory.reserve == Span("RESERVE", 0x1001_0000 - 8 * KIB, 8 * KIB)  # in the CCM
    assert memory.arrays == ()
    f746 = memory_map(load("stm32"), {})
    assert f746.runs == (Span("DTCM+SRAM1+SRAM2", 0x2000_0000, 320 * KIB),)
    assert f746.reserve.end == 0x2005_0000


def test_where_tensors_take_that_run_it_is_the_end_of_the_next_larger_one():
    placement = place_on(
        [Buffer("a", 62 * KIB, 0, 2), Buffer("b", 110 * KIB, 0, 2)], F405, F405.reserve_bytes
    )
    memory = memory_map(F405, heights_of(placement))
    assert {name: place.run for name, place in placement.places.items()} == {"a": "CCM", "b": "SRAM1+SRAM2"}
    assert memory.reserve == Span("RESERVE", 0x2002_0000 - 8 * KIB, 8 * KIB)


@pytest.mark.parametrize(
    ("board", "start", "size"),
    [
        ("stm32", 0x0800_0000, 1024 * KIB),
        ("nrf52840", 0, 1024 * KIB),
        ("rp2040", 0x1000_0100, 2048 * KIB - 256),  # behind the second boot stage
        ("max78000", 0x1000_0000, 512 * KIB),
    ],
)
def test_code_lies_where_the_core_reads_its_flash(board, start, size):
    assert memory_map(load(board), {}).flash == Span("FLASH", start, size)


def told(device, heights=None):
    with pytest.raises(InputError) as caught:
        memory_map(device, heights or {})
    return str(caught.value)


def test_what_is_not_known_is_refused_in_one_line():
    regions = tuple(dataclasses.replace(region, start=None) for region in F405.regions)
    assert "without an address" in told(dataclasses.replace(F405, regions=regions))
    assert "add start to [flash]" in told(dataclasses.replace(F405, flash=None))
    assert "no reserve" in told(dataclasses.replace(F405, reserve_bytes=0))
    assert "not known to be mapped" in told(load("esp32-c3"))


def test_a_plan_that_does_not_fit_is_refused_with_what_is_missing():
    assert "8 bytes too large" in told(F405, {"CCM": 56 * KIB + 8, "SRAM1+SRAM2": 128 * KIB})
    placement = place_on([Buffer("large", 200 * KIB, 0, 1)], F405, F405.reserve_bytes)
    with pytest.raises(InputError, match="73,728 bytes too large"):
        heights_of(placement)


def test_the_stand_in_lies_in_one_run():
    assert [array.size_bytes for array in StandIn().memory.arrays] == [104]
