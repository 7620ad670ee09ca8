"""Placing on boards, above all on those whose RAM is in several runs."""

import random
from dataclasses import replace
from itertools import product

import pytest
from exhaustive import lowest_height
from hypothesis import given, settings
from hypothesis import strategies as st

import devices
from blockwise import models
from devices.boards.board import Region
from devices.boards.profile import load
from devices.errors import InputError
from devices.memory.arena import Buffer, Placement, buffers_of, place_on, runs_of, solver, violations

KIB = 1024
H743, F405, F746 = (devices.load(name) for name in ("stm32h743", "stm32f405", "stm32"))


def wrong(placement: Placement, reserve_bytes: int = 0) -> list[str]:
    """What the verifier says about a placement."""
    numbers = {run.name: number for number, run in enumerate(placement.runs)}
    places = {name: (numbers[place.run], place.offset) for name, place in placement.places.items()}
    regions = [(run.start or 0, run.size_bytes) for run in placement.runs]
    return violations(
        placement.buffers, places, regions, alignment=placement.alignment, reserve_bytes=reserve_bytes
    )


def board(*sizes: int, alignment: int = 8) -> devices.Device:
    """A board with runs of these bytes, apart from each other; the second begins at an odd address."""
    regions = tuple(
        Region(f"R{i}", "data", i * 0x100_0000 + (i == 1) * 3, size) for i, size in enumerate(sizes)
    )
    return replace(F405, regions=regions, alignment_bytes=alignment, reserve_bytes=0)


def schedule(width: int, regime: str):
    return devices.plan(
        models.build("resnet20", width=width), H743, regime=regime, blocks="residual", head="gap"
    ).schedule


def test_the_runs_of_a_board_are_its_touching_regions():
    assert [(run.name, run.size_bytes // KIB) for run in runs_of(H743)] == [
        ("DTCM", 128), ("AXI", 512), ("SRAM1+SRAM2+SRAM3", 288), ("SRAM4", 64),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reserve", "holder"), [(KIB, "SRAM4"), (65 * KIB, "DTCM"), (200 * KIB, "SRAM1+SRAM2+SRAM3")]
)
def test_the_reserve_takes_the_end_of_the_smallest_run_that_holds_it(reserve, holder):
    reserved = {run.name: run.reserve_bytes for run in runs_of(H743, reserve) if run.reserve_bytes}
    assert reserved == {holder: reserve}


def test_a_reserve_that_no_run_holds_is_refused():
    with pytest.raises(InputError, match="reserve: got 524289 bytes, wanted 0 to 524288"):
        place_on([], H743, 512 * KIB + 1)


def test_a_network_larger_than_any_run_is_spread_over_several():
    plan = schedule(6, "bp")
    placement = place_on(plan, H743, 16 * KIB)
    assert placement.bound > H743.largest_contiguous_bytes
    assert placement.fits and placement.proven
    assert wrong(placement, 16 * KIB) == []
    assert len({place.run for place in placement.places.values()}) > 1
    assert placement.places.keys() == plan.tensors.keys()


def test_a_network_that_one_run_holds_lies_in_one_run():
    placement = place_on(schedule(4, "local-resident"), H743)
    assert placement.fits and wrong(placement) == []
    assert {place.run for place in placement.places.values()} == {"AXI"}
    assert all(0x2400_0000 <= place.address < 0x2408_0000 for place in placement.places.values())


def test_the_coupled_memory_of_the_f405_is_used_as_well():
    placement = place_on(schedule(7, "local-resident"), F405)
    assert placement.bound > 128 * KIB
    assert placement.fits and wrong(placement) == []


def test_what_does_not_fit_is_told_with_what_is_missing():
    placement = place_on(schedule(8, "bp"), F405)
    assert not placement.fits and placement.proven
    assert placement.missing_bytes >= placement.bound - placement.capacity > 0
    assert all("outside" in line for line in wrong(placement))
    longer = [replace(r, size_bytes=r.size_bytes + placement.missing_bytes) if r.name == "SRAM1+SRAM2" else r
              for r in placement.runs]  # fmt: skip
    assert wrong(replace(placement, runs=tuple(longer))) == []


def test_on_one_run_it_is_the_height_against_the_capacity():
    fit, miss = (place_on([Buffer("a", size, 0, 2), Buffer("b", 8, 1, 3)], board(64)) for size in (56, 57))
    assert fit.fits and wrong(fit) == []
    assert (miss.fits, miss.missing_bytes, miss.proven) == (False, 1, True)


def test_the_last_bytes_of_a_run_are_used_although_they_are_fewer_than_the_alignment():
    five = [Buffer("only", 5, 0, 3)]
    assert place_on(five, board(5)).fits and not place_on(five, board(4)).fits
    two = [Buffer("a", 5, 0, 3), Buffer("b", 13, 0, 3)]
    placement = place_on(two, board(13, 8))  # the second run begins 5 bytes before an aligned address
    assert (placement.fits, placement.missing_bytes, placement.proven) == (False, 8, True)
    placement = place_on(two, board(13, 10))
    assert placement.fits and wrong(placement) == []


def test_a_buffer_longer_than_every_run_does_not_fit_although_the_sum_does():
    placement = place_on([Buffer("a", 72, 0, 1)], board(64, 64))
    assert (placement.fits, placement.missing_bytes, placement.proven) == (False, 8, True)


def test_the_solver_decides_where_the_rules_do_not():
    sizes = [48, 40, 32, 32, 24, 16]  # largest first fills a run with 48 + 40 and leaves 8 bytes of it
    buffers = [Buffer(str(i), size, 0, 9) for i, size in enumerate(sizes)]
    placement = place_on(buffers, board(96, 101), time_limit=5)
    assert placement.fits and wrong(placement) == []
    odd = [Buffer(str(i), 40, 0, 9) for i in range(4)]
    placement = place_on(odd, board(72, 104), time_limit=5)
    assert (placement.fits, placement.proven) == (False, solver.available())


boards = st.lists(st.integers(9, 80), min_size=1, max_size=4)
rows = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9), st.integers(0, 9)), max_size=8)


@settings(max_examples=200)
@given(boards, rows, st.sampled_from([1, 4, 8]), st.integers(0, 9))
def test_any_placement_that_fits_is_valid_and_any_other_is_too_long_by_what_it_says(
    sizes, spans, alignment, reserve
):
    buffers = [Buffer(str(i), s, min(a, b), max(a, b)) for i, (s, a, b) in enumerate(spans)]
    placement = place_on(buffers, board(*sizes, alignment=alignment), reserve)
    assert placement.places.keys() == {b.name for b in buffers}
    largest = max(placement.runs, key=lambda run: run.room(alignment))
    longer = [
        replace(r, size_bytes=r.size_bytes + placement.missing_bytes) if r is largest else r
        for r in placement.runs
    ]
    assert wrong(replace(placement, runs=tuple(longer)), reserve) == []
    if placement.bound > placement.capacity:
        assert not placement.fits and placement.proven


few = st.lists(st.tuples(st.integers(1, 20), st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=4)


@settings(max_examples=200)
@given(st.lists(st.integers(9, 40), min_size=1, max_size=2), few, st.sampled_from([1, 4, 8]))
def test_what_is_proven_of_a_placement_holds_for_every_plan(sizes, spans, alignment):
    buffers = [Buffer(str(i), s, a, max(a + 1, b)) for i, (s, a, b) in enumerate(spans)]
    placement = place_on(buffers, board(*sizes, alignment=alignment))
    rooms = [run.room(alignment) for run in placement.runs]
    exists = any(
        all(
            lowest_height([b for b, r in zip(buffers, chosen, strict=True) if r == run], alignment) <= room
            for run, room in enumerate(rooms)
        )
        for chosen in product(range(len(rooms)), repeat=len(buffers))
    )
    assert exists or not placement.fits
    assert placement.fits == exists or not placement.proven


def test_two_short_runs_hold_what_one_order_of_them_would_not():
    rng = random.Random(5)
    for _ in range(40):
        sizes = [rng.randint(2, 9) * 8 for _ in range(6)]
        buffers = [Buffer(str(i), s, 0, 1) for i, s in enumerate(sizes)]
        placement = place_on(
            buffers, board(sum(sizes[:2]), sum(sizes[2:4]) + 8, sum(sizes[4:])), time_limit=5
        )
        assert placement.fits, sizes
        assert wrong(placement) == []


def test_the_buffers_of_a_schedule_live_to_the_end_of_their_last_operation():
    plan = schedule(4, "bp")
    buffers = {b.name: b for b in buffers_of(plan)}
    for name, (first, last) in plan.lifetimes.items():
        assert (buffers[name].lower, buffers[name].upper) == (first, last + 1)


def test_the_reserve_goes_where_buffers_leave_it_room():
    """In the smallest run that holds it there would be no home for the smaller of the two."""
    device = load("stm32f405")
    buffers = [Buffer("a", 62 * KIB, 0, 2), Buffer("b", 110 * KIB, 0, 2)]
    found = place_on(buffers, device, device.reserve_bytes)
    assert found.fits and found.proven
    runs, names = [(run.start, run.size_bytes) for run in found.runs], [run.name for run in found.runs]
    where = {name: (names.index(place.run), place.offset) for name, place in found.places.items()}
    assert violations(buffers, where, runs, alignment=8, reserve_bytes=device.reserve_bytes) == []
    more = place_on([*buffers, Buffer("c", 16 * KIB, 0, 2)], device, device.reserve_bytes)
    assert not more.fits and more.proven
    other = place_on(
        [Buffer("a", 62 * KIB, 0, 2), Buffer("b", 121 * KIB, 0, 2)], device, device.reserve_bytes
    )
    assert not other.fits
