"""Flash traffic of local-paged: hand arithmetic on the tiny network."""

from dataclasses import replace

import pytest
from tiny import NETWORK

import devices
from devices.boards.profile import Flash, load
from devices.memory.paging import paging
from devices.network.bits import FIXED_LEVELS, Bits
from devices.program.regimes import Step, schedule

# conv1 36, norm1 8, conv2 144, norm2 8, linear 195, head of A 15 = 406 parameters with one momentum
# each, and 16 running statistics; all float32. No step sizes.
STATE = (2 * 406 + 16) * 4
STEP = Step(4, bits=Bits(4, 4, 8, FIXED_LEVELS, FIXED_LEVELS))


def test_a_step_reads_and_writes_the_whole_state_once():
    program = schedule("local-paged", NETWORK, STEP)
    assert (program.flash_read_bytes, program.flash_written_bytes) == (STATE, STATE)


@pytest.mark.parametrize("regime", ["bp", "local", "local-resident", "bp-best", "bp-micro"])
def test_other_regimes_move_nothing(regime):
    assert paging(schedule(regime, NETWORK, STEP), load("stm32")) is None


def test_time_and_life_follow_from_the_flash():
    flash = Flash(
        8192, external=False, erase_bytes=1024, program_bytes=4, erase_cycles=1000, source="a test",
        erase_ms=10, program_us=100, read_bytes_per_s=1_000_000,
    )  # fmt: skip
    board = replace(load("stm32"), flash=flash, flash_bytes=8192)
    found = paging(schedule("local-paged", NETWORK, STEP), board)
    assert STATE == 3312  # 3.23 erase units: a ring of 4 and one more
    assert found.read_seconds == pytest.approx(3312e-6)
    assert found.write_seconds == pytest.approx(3312 / 1024 * 0.010 + 828 * 1e-4)
    assert found.life_steps == 8192 * 1000 // 3312
    assert found.ring_bytes == 5 * 1024
    assert found.fits


def test_a_ring_without_a_unit_to_spare_does_not_fit():
    flash = replace(load("nrf52840").flash, erase_bytes=1024, program_bytes=4)
    for size, fits in ((4096, False), (5120, True)):
        board = replace(load("nrf52840"), flash=replace(flash, size_bytes=size), flash_bytes=size)
        found = paging(schedule("local-paged", NETWORK, STEP), board)
        assert found.fits is fits
        assert bool(found.life_steps) is fits


def test_figures_that_the_profile_lacks_stay_unknown():
    found = paging(schedule("local-paged", NETWORK, STEP), replace(load("stm32"), flash=None))
    assert (found.read_seconds, found.write_seconds, found.life_steps) == (None, None, None)


def test_a_flash_that_cannot_hold_the_state_rules_the_regime_out():
    plan = devices.plan(NETWORK, "nrf52840", regime="local-paged", batch_size=4)
    assert plan.fits
    small = replace(load("stm32"), flash=None, flash_bytes=1024)
    assert not devices.plan(NETWORK, small, regime="local-paged", batch_size=4).fits


def test_weights_that_are_read_in_place_leave_less_of_the_flash_to_the_ring():
    erase, cycles = 1024, 1000
    flash = replace(load("nrf52840").flash, erase_bytes=erase, program_bytes=4, erase_cycles=cycles)
    program = schedule("local-paged", NETWORK, STEP)
    for mapped, fits in ((0, True), (3 * erase, True), (3 * erase + 1, False), (8 * erase, False)):
        room = replace(flash, size_bytes=8 * erase)
        board = replace(load("nrf52840"), flash=room, flash_bytes=8 * erase)
        held = replace(
            next(iter(program.tensors.values())), name="codes", shape=(mapped,), bits=8, mapped=True
        )
        found = paging(replace(program, tensors={**program.tensors, "codes": held}), board)
        assert (found.mapped_bytes, found.fits) == (mapped, fits)
        left = (8 * erase - mapped) // erase * erase
        assert found.life_steps == (cycles * left // STATE if fits else 0)
