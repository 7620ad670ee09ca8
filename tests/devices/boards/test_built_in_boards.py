"""Every built-in board, and what its maker states."""

import pytest
from toy_board import BOARDS

from devices.boards.profile import (
    KIB,
    PROFILES,
    catalogue,
    load,
)


def test_at_least_sixteen_boards_are_built_in() -> None:
    assert len(catalogue()) == len(BOARDS) >= 16


@pytest.mark.parametrize("name", BOARDS)
class TestEveryBuiltInBoard:
    def test_is_found_under_the_name_of_its_file_and_each_alias_in_any_case(self, name: str) -> None:
        device = load(name.upper())
        assert device.name == name
        for alias in device.aliases:
            assert load(alias.title()) is device

    def test_has_positive_figures(self, name: str) -> None:
        device = load(name)
        assert device.clock_mhz > 0
        assert all(r.size_bytes > 0 for r in device.regions)
        assert device.flash_bytes > 0 or device.flash_external

    def test_says_how_its_flash_is_written_and_how_long_it_lasts(self, name: str) -> None:
        device = load(name)
        flash = device.flash
        assert flash is not None and flash.source.strip()
        assert (flash.size_bytes, flash.external) == (device.flash_bytes, device.flash_external)
        assert bool(flash.part) == device.flash_external
        assert flash.erase_cycles >= 10_000
        assert 1 <= flash.program_bytes < flash.erase_bytes
        assert (flash.write_seconds(1) is None) == (name == "max78000")  # no times found for it
        if flash.size_bytes:
            assert flash.size_bytes % flash.erase_bytes == 0

    def test_says_where_its_core_runs_programs_from_if_that_core_has_a_build(self, name: str) -> None:
        device = load(name)
        assert device.flash is not None
        assert (device.flash.program_room > 0) == device.core.removeprefix("2x ").startswith("Cortex-M")

    def test_keeps_ram_for_stack_and_system(self, name: str) -> None:
        device = load(name)
        assert 0 < device.reserve_bytes < device.largest_contiguous_bytes

    def test_says_where_its_ram_flash_core_clock_and_addresses_were_read(self, name: str) -> None:
        sources = dict(load(name).sources)
        assert set(sources) >= {"ram", "flash", "core", "clock", "addresses"}
        assert all(source.strip() for source in sources.values())

    def test_groups_each_data_region_into_exactly_one_run(self, name: str) -> None:
        device = load(name)
        grouped = sorted(r.name for run in device.runs for r in run)
        assert grouped == sorted(r.name for r in device.regions if r.kind == "data")
        assert 0 < device.largest_contiguous_bytes <= device.ram_bytes

    def test_reads_the_same_by_path_as_by_name(self, name: str) -> None:
        assert load(str(PROFILES / f"{name}.toml")) == load(PROFILES / f"{name}.toml") == load(name)

    def test_has_dsp_wherever_it_has_a_vector_unit(self, name: str) -> None:
        assert load(name).dsp or not load(name).vector


KNOWN_KIB = [  # board, all RAM, longest run, flash
    ("stm32f103", 20, 20, 64),
    ("stm32f405", 112 + 16 + 64, 112 + 16, 1024),
    ("stm32f411", 128, 128, 512),
    ("stm32f446", 128, 128, 512),
    ("stm32f746-disco", 320, 320, 1024),
    ("stm32f767", 512, 512, 2048),
    ("stm32h743", 992, 512, 2048),
    ("stm32l4r5", 640, 640, 2048),
    ("stm32u575", 784, 192 + 64 + 512, 2048),
    ("stm32u5a5", 2512, 768 + 64 + 832 + 832, 4096),
    ("stm32n657", 4224, 4224, 0),
    ("nrf52840", 256, 256, 1024),
    ("nrf5340", 512, 512, 1024),
    ("rp2040", 264, 264, 0),
    ("rp2350", 520, 520, 0),
    ("esp32-s3", 512 - 32, 512 - 32, 0),
    ("esp32-c3", 400 - 16, 400 - 16, 0),
    ("max78000", 128, 128, 512),
    ("gap8", 64 + 512, 512, 0),
]


@pytest.mark.parametrize(("name", "ram_kib", "run_kib", "flash_kib"), KNOWN_KIB)
def test_a_board_has_the_memory_its_maker_states(
    name: str, ram_kib: int, run_kib: int, flash_kib: int
) -> None:
    device = load(name)
    assert device.ram_bytes == ram_kib * KIB
    assert device.largest_contiguous_bytes == run_kib * KIB
    assert device.flash_bytes == flash_kib * KIB
    assert device.flash_external == (flash_kib == 0)


def test_no_built_in_board_lacks_a_hand_known_figure() -> None:
    assert sorted(row[0] for row in KNOWN_KIB) == BOARDS


def test_stm32_alone_means_the_320_kib_discovery_board() -> None:
    assert load("STM32") is load("stm32f746-disco")


def test_instruction_memory_is_listed_but_not_counted() -> None:
    device = load("stm32f746-disco")
    assert [r.name for r in device.regions if r.kind == "code"] == ["ITCM"]
    assert sum(r.size_bytes for r in device.regions) == device.ram_bytes + 16 * KIB


def test_the_memories_of_the_h743_lie_in_four_places() -> None:
    names = [[r.name for r in run] for run in load("stm32h743").runs]
    assert names == [["DTCM"], ["AXI"], ["SRAM1", "SRAM2", "SRAM3"], ["SRAM4"]]


def test_cores_without_fpu_and_dsp_are_told_apart() -> None:
    without = {name for name in BOARDS if not load(name).fpu and not load(name).dsp}
    assert without == {"stm32f103", "rp2040", "esp32-c3"}
    assert [name for name in BOARDS if load(name).vector == "helium"] == ["stm32n657"]


KNOWN_ERASE = {  # bytes of the erase unit that most of the flash is made of
    "stm32f103": 1 * KIB,
    "stm32f405": 128 * KIB,
    "stm32f411": 128 * KIB,
    "stm32f446": 128 * KIB,
    "stm32f746-disco": 256 * KIB,
    "stm32f767": 256 * KIB,
    "stm32h743": 128 * KIB,
    "stm32l4r5": 4 * KIB,
    "stm32u575": 8 * KIB,
    "stm32u5a5": 8 * KIB,
    "nrf52840": 4 * KIB,
    "nrf5340": 4 * KIB,
    "max78000": 8 * KIB,
}


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_erases_the_units_its_maker_states(name: str) -> None:
    flash = load(name).flash
    assert flash is not None
    assert flash.erase_bytes == KNOWN_ERASE.get(name, 4 * KIB)  # the external chip's sectors
    assert flash.external == (name not in KNOWN_ERASE)


def test_one_page_of_the_nrf52840_takes_its_longest_erase_and_1024_words() -> None:
    flash = load("nrf52840").flash
    assert flash is not None
    assert flash.write_seconds(4096) == pytest.approx(0.085 + 1024 * 41e-6)


def test_changing_the_returned_catalogue_leaves_the_next_one_whole() -> None:
    catalogue().clear()
    assert len(catalogue()) == len(BOARDS)
