"""board.ld: every region and section of a board of two runs, by hand."""

from blockwise.firmware.arenas import memory_map
from blockwise.firmware.emit.linker import script
from devices.boards.profile import KIB, load


def test_each_run_has_its_region_and_each_array_its_address():
    text = script(memory_map(load("stm32f405"), {"CCM": 1000, "SRAM1+SRAM2": 70_000}))
    for line in (
        "FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 0x100000",
        f"RAM0 (rw) : ORIGIN = 0x10000000, LENGTH = {56 * KIB:#x}",  # the CCM without the reserve
        f"RAM1 (rw) : ORIGIN = 0x20000000, LENGTH = {128 * KIB:#x}",
        "RESERVE (rw) : ORIGIN = 0x1000e000, LENGTH = 0x2000",
        ".arena0 0x10000000 (NOLOAD) : { KEEP(*(.arena0)) } > RAM0",
        "ASSERT(SIZEOF(.arena1) == 70000",
        "blockwise_stack_end = 0x10010000;",
    ):
        assert line in text


def test_what_a_boot_rom_looks_for_stands_behind_the_vectors():
    text = script(memory_map(load("rp2350"), {}))
    assert "KEEP(*(.vectors)) LONG(0xffffded3) LONG(0x10210142) LONG(0x000001ff) LONG(0x00000000)" in text
