"""The slots that keep a training: whole units and sectors at the end of a board's flash, or one line."""

from dataclasses import replace

import pytest
from saving_firmware import saving

from blockwise.firmware.arenas import Span
from blockwise.firmware.memory import memory_of
from blockwise.firmware.slots import Slots, check_save_every, layout_of, parted, slots_of
from devices.boards.profile import load
from devices.errors import InputError


@pytest.mark.parametrize(
    ("sizes", "header", "payload", "slot"),
    [
        ((1000, 1024, 2), 32, 1000, 2048),  # STM32F103: half words
        ((992, 1024, 8), 32, 992, 1024),
        ((1001, 131_072, 32), 32, 1024, 131_072),  # STM32H743: a unit of 32 bytes
        ((1000, 4096, 256), 256, 1024, 4096),  # a serial flash: pages of 256 bytes
        ((3841, 4096, 256), 256, 4096, 8192),
    ],
)
def test_header_and_state_take_whole_units_and_a_slot_whole_sectors(sizes, header, payload, slot):
    slots = Slots(*sizes)
    assert (slots.header_bytes, slots.payload_bytes, slots.slot_bytes) == (header, payload, slot)
    assert slots.bytes == 2 * slot


def test_each_slot_is_erased_at_every_second_save():
    flash = load("stm32f405").flash
    assert Slots(10_000, 131_072, 4).steps_of_life(flash, 100) == 2 * 100 * flash.erase_cycles


@pytest.mark.parametrize("board", ["stm32f103", "rp2040", "stm32h743", "stm32n657"])
def test_slots_are_the_last_sectors_of_flash(board):
    firmware = saving(board, "niti-local")
    memory, flash = memory_of(firmware), load(board).flash
    whole = memory_of(replace(firmware, save_every=0))
    assert whole.slots is None
    assert memory.slots.end == whole.flash.end == flash.start + (flash.size_bytes or flash.mapped_bytes)
    assert memory.flash == Span("FLASH", whole.flash.start, memory.slots.start - whole.flash.start)
    assert (memory.slots.start - flash.start) % flash.erase_bytes == 0
    assert memory.slots.size_bytes == slots_of(firmware).bytes


def test_a_flash_that_ends_within_a_sector_leaves_that_out():
    flash, slots = parted(Span("FLASH", 0x100, 0x2500 - 0x100), 0, Slots(100, 0x400, 4), "board")
    assert (slots.start, slots.end) == (0x1C00, 0x2400) and flash.end == slots.start


def test_a_flash_with_less_than_the_slots_is_refused_in_one_line():
    with pytest.raises(InputError, match="got 2 slots of 131,072 bytes, in sectors of 131,072, wanted less"):
        parted(Span("FLASH", 0x0800_0000, 262_144), 0x0800_0000, Slots(100, 131_072, 4), "board")


def test_no_steps_between_saves_are_refused():
    assert (check_save_every(None), check_save_every(1)) == (0, 1)
    with pytest.raises(InputError, match="--save-every: got 0, wanted 1 step or more"):
        check_save_every(0)


@pytest.mark.slow
def test_a_program_knows_its_own_slots():
    """By what it keeps: not by the board, nor by how often it saves."""
    layouts = [layout_of(saving("rp2040", regime)) for regime in ("niti", "niti-local", "niti4")]
    assert len(set(layouts)) == 3
    assert layout_of(saving("stm32f103", "niti", every=9)) == layouts[0]


@pytest.mark.slow
def test_a_slot_of_a_program_whose_steps_go_on_otherwise_does_not_count():
    """The same tensors, but other batches, waits or directions."""
    for regime, settings in {
        "niti": [{"batch_size": 1}, {"batch_size": 4}],
        "niti4-jump": [{"jump_every": 2}, {"jump_every": 3}],
        "niti-zo": [{"zo_directions": 1}, {"zo_directions": 2}, {"zo_range": 3}],
    }.items():
        layouts = [layout_of(saving("stm32f746", regime, **own)) for own in settings]
        assert len(set(layouts)) == len(settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("regime", "settings"),
    [
        ("niti4", {"train": "last:1", "frozen": "flash"}),
        ("bp", {"train": "last:1", "frozen": "flash", "method": "lsq"}),
        ("local-resident", {"method": "lsq"}),
    ],
)
def test_a_slot_of_other_constants_in_flash_does_not_count(regime, settings):
    """Of a seed's weights those that no step moves, or that a later block begins with, are in no slot."""
    firmware = [saving("stm32f746", regime, seed=seed, **settings) for seed in (0, 0, 1)]
    one, same, other = (layout_of(x) for x in firmware)
    assert one == same != other
    assert [t.name for t in firmware[0].resident] == [t.name for t in firmware[2].resident]
