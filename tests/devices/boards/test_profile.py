"""Board profiles: what every built-in one must hold, known figures, and every way to be wrong."""

from pathlib import Path

import pytest

from devices.boards.flash import Flash
from devices.boards.profile import (
    KIB,
    PROFILES,
    Device,
    Region,
    by_any_name,
    catalogue,
    load,
    parse,
    read_folder,
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


# Every built-in board


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


# Figures known from outside

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


# Regions


def test_regions_touch_whatever_order_they_are_listed_in() -> None:
    device = toy(region("B", 64 * KIB, 32), region("A", 0, 64), region("C", 200 * KIB, 80))
    assert device.largest_contiguous_bytes == 96 * KIB


def test_a_region_without_an_address_touches_no_other() -> None:
    device = toy(region("A", 0, 64), region("B", None, 80), region("C", None, 16))
    assert device.largest_contiguous_bytes == 80 * KIB
    assert device.ram_bytes == 160 * KIB
    assert len(device.runs) == 3


def test_a_code_region_between_two_data_regions_parts_them() -> None:
    code = Region("I", "code", 64 * KIB, 16 * KIB)
    device = toy(region("A", 0, 64), code, region("B", 80 * KIB, 32))
    assert device.largest_contiguous_bytes == 64 * KIB


# Reading a file


def test_a_profile_is_read_with_its_defaults() -> None:
    device = parse(GOOD, "toy.toml")
    assert (device.ram_bytes, device.flash_bytes) == (96 * KIB, 512 * KIB)
    assert (device.alignment_bytes, device.vector, device.aliases) == (8, "", ("toy-1",))
    assert device.largest_contiguous_bytes == 96 * KIB
    assert dict(device.sources) == {"ram": "datasheet", "flash": "datasheet", "core": "datasheet"}


def test_a_profile_without_a_flash_table_has_unknown_paging_figures() -> None:
    assert parse(GOOD).flash is None


def test_a_flash_table_is_read_with_the_size_and_place_of_the_flash() -> None:
    assert parse(WRITABLE).flash == Flash(
        size_bytes=512 * KIB,
        external=False,
        erase_bytes=2048,
        erase_ms=22.5,
        program_bytes=8,
        program_us=80,
        read_bytes_per_s=1_000_000,
        erase_cycles=10_000,
        source="datasheet",
    )


@pytest.mark.parametrize("key", ["erase_ms", "program_us", "read_bytes_per_s"])
def test_a_speed_may_be_left_out_and_is_then_unknown(key: str) -> None:
    text = "\n".join(line for line in WRITABLE.split("\n") if not line.startswith(f"{key} ="))
    assert getattr(parse(text).flash, key) is None


def test_the_reserve_is_8_kib_unless_the_profile_says_otherwise() -> None:
    assert parse(GOOD).reserve_bytes == 8 * KIB
    assert parse(edited("fpu = true", "reserve_kib = 0\nfpu = true")).reserve_bytes == 0
    assert parse(edited("fpu = true", "reserve_kib = 95\nfpu = true")).reserve_bytes == 95 * KIB


def test_a_board_of_ones_own_is_loaded_by_path_whatever_the_file_is_called(tmp_path: Path) -> None:
    for name in ("toy.toml", "TOY.TOML", "toy.board"):
        (tmp_path / name).write_text(GOOD)
        assert load(str(tmp_path / name)).name == "toy"


def test_a_byte_order_mark_is_no_reason_to_refuse_a_file(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(GOOD, encoding="utf-8-sig")
    assert load(tmp_path / "toy.toml").name == "toy"


def test_changing_the_returned_catalogue_leaves_the_next_one_whole() -> None:
    catalogue().clear()
    assert len(catalogue()) == len(BOARDS)


# Everything that can be wrong


@pytest.mark.parametrize(
    "key",
    ["name", "title", "core", "clock_mhz", "fpu", "dsp", "ram_kib", "flash_kib", "flash_external"],
)
def test_a_missing_key_is_named_with_its_file(key: str) -> None:
    text = "\n".join(line for line in GOOD.split("\n") if not line.startswith(f"{key} ="))
    if key == "name":
        text = text.replace("[[regions]]", '[[regions]]\nname = "A"', 1)
        text = text.replace("start = 0x2001_0000", 'name = "B"\nstart = 0x2001_0000', 1)
    assert error_of(text).startswith(f"toy.toml: {key}: got nothing, wanted ")


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ('name = "B"\n', "region 2: name"),
        ('kind = "data"\n', "region 'A': kind"),
        ("size_kib = 64\n", "region 'A': size_kib"),
        ('ram = "datasheet"\n', "sources: ram"),
        ('flash = "datasheet"\n', "sources: flash"),
        ('core = "datasheet"\n', "sources: core"),
    ],
)
def test_a_missing_key_of_a_region_or_source_is_named(line: str, where: str) -> None:
    assert error_of(edited(line, "")).startswith(f"toy.toml: {where}: got nothing, wanted ")


@pytest.mark.parametrize("table", ["regions", "sources"])
def test_a_missing_table_is_named(table: str) -> None:
    cut = {
        "regions": (GOOD.index("[[regions]]"), GOOD.index("[sources]")),
        "sources": (GOOD.index("[sources]"), len(GOOD)),
    }[table]
    message = error_of(GOOD[: cut[0]] + GOOD[cut[1] :])
    assert message.startswith(f"toy.toml: {table}: got nothing")


@pytest.mark.parametrize(
    ("old", "new", "where", "got"),
    [
        ("clock_mhz = 100", 'clock_mhz = "fast"', "clock_mhz", "'fast'"),
        ("clock_mhz = 100", "clock_mhz = 100.5", "clock_mhz", "100.5"),
        ("clock_mhz = 100", "clock_mhz = true", "clock_mhz", "True"),
        ("clock_mhz = 100", "clock_mhz = -100", "clock_mhz", "-100"),
        ("clock_mhz = 100", "clock_mhz = 0", "clock_mhz", "0"),
        ("ram_kib = 96", 'ram_kib = "96"', "ram_kib", "'96'"),
        ("ram_kib = 96", "ram_kib = 0", "ram_kib", "0"),
        ("flash_kib = 512", "flash_kib = -1", "flash_kib", "-1"),
        ("flash_kib = 512", "flash_kib = [512]", "flash_kib", "[512]"),
        ("size_kib = 64", "size_kib = 0", "region 'A': size_kib", "0"),
        ("size_kib = 64", "size_kib = -64", "region 'A': size_kib", "-64"),
        ("size_kib = 64", 'size_kib = "64K"', "region 'A': size_kib", "'64K'"),
        ("start = 0x2000_0000", "start = -1", "region 'A': start", "-1"),
        ("start = 0x2000_0000", 'start = "0x2000"', "region 'A': start", "'0x2000'"),
        ("start = 0x2000_0000", "start = 0x1_0000_0000", "region 'A': start", "0x100000000"),
        ("fpu = true", "fpu = 1", "fpu", "1"),
        ("fpu = true", 'fpu = "yes"', "fpu", "'yes'"),
        ('core = "Cortex-M4F"', "core = 4", "core", "4"),
        ('core = "Cortex-M4F"', 'core = " "', "core", "an empty text"),
        ('ram = "datasheet"', 'ram = ""', "sources: ram", "an empty text"),
        ('aliases = ["toy-1"]', 'aliases = "toy-1"', "aliases", "'toy-1'"),
        ('aliases = ["toy-1"]', "aliases = [1]", "aliases", "1"),
        ('name = "toy"', 'name = "Toy Board"', "name", "'Toy Board'"),
        ("fpu = true", "alignment_bytes = 12\nfpu = true", "alignment_bytes", "12"),
        ("fpu = true", "alignment_bytes = 0\nfpu = true", "alignment_bytes", "0"),
        ("fpu = true", "reserve_kib = -1\nfpu = true", "reserve_kib", "-1"),
        ("fpu = true", "reserve_kib = 1.5\nfpu = true", "reserve_kib", "1.5"),
        ("fpu = true", "reserve_kib = 96\nfpu = true", "reserve_kib", "96"),
        ("fpu = true", 'flash = "fast"\nfpu = true', "flash", "'fast'"),
    ],
)
def test_a_wrong_value_is_told_with_file_key_and_what_was_wanted(
    old: str, new: str, where: str, got: str
) -> None:
    message = error_of(edited(old, new))
    assert message.startswith(f"toy.toml: {where}: got {got}")
    assert ", wanted " in message
    assert "\n" not in message


@pytest.mark.parametrize("key", ["erase_bytes", "program_bytes", "erase_cycles", "source"])
def test_a_missing_key_of_the_flash_is_named(key: str) -> None:
    text = "\n".join(line for line in WRITABLE.split("\n") if not line.startswith(f"{key} ="))
    assert error_of(text).startswith(f"toy.toml: flash: {key}: got nothing, wanted ")


@pytest.mark.parametrize(
    ("old", "new", "where", "got"),
    [
        ("erase_bytes = 2048", 'erase_bytes = "2K"', "erase_bytes", "'2K'"),
        ("erase_bytes = 2048", "erase_bytes = 2048.0", "erase_bytes", "2048.0"),
        ("erase_bytes = 2048", "erase_bytes = 0", "erase_bytes", "0"),
        ("erase_bytes = 2048", "erase_bytes = 1_048_576", "erase_bytes", "1048576"),
        ("erase_ms = 22.5", "erase_ms = 0", "erase_ms", "0"),
        ("erase_ms = 22.5", "erase_ms = -1.5", "erase_ms", "-1.5"),
        ("erase_ms = 22.5", "erase_ms = inf", "erase_ms", "inf"),
        ("erase_ms = 22.5", "erase_ms = nan", "erase_ms", "nan"),
        ("erase_ms = 22.5", "erase_ms = true", "erase_ms", "True"),
        ("program_bytes = 8", "program_bytes = -8", "program_bytes", "-8"),
        ("program_bytes = 8", "program_bytes = 7", "program_bytes", "7"),
        ("program_us = 80", 'program_us = "80"', "program_us", "'80'"),
        ("read_bytes_per_s = 1_000_000", "read_bytes_per_s = 0", "read_bytes_per_s", "0"),
        ("erase_cycles = 10_000", "erase_cycles = 0", "erase_cycles", "0"),
        ("erase_cycles = 10_000", "erase_cycles = 1e4", "erase_cycles", "10000.0"),
        ("erase_bytes = 2048", 'part = "W25Q"\nerase_bytes = 2048', "part", "'W25Q'"),
        ("flash_external = false", "flash_external = true", "part", "no name"),
        ("erase_bytes = 2048", "erase_byte = 2048", "key", "'erase_byte'"),
    ],
)
def test_a_wrong_figure_of_the_flash_is_told_in_one_line(old: str, new: str, where: str, got: str) -> None:
    message = error_of(edited_flash(old, new))
    assert message.startswith(f"toy.toml: flash: {where}: got {got}, wanted ")
    assert "\n" not in message


def test_a_flash_that_contradicts_its_device_is_refused() -> None:
    flash = parse(WRITABLE).flash
    with pytest.raises(InputError, match=r"^flash: got 524288 bytes, external False, wanted 1048576 bytes"):
        Device(
            "toy", "Toy", "M4F", 100, (region("A", 0, 64),), 1024 * KIB, False, True, True, flash=flash
        )  # fmt: skip


def test_a_board_with_less_ram_than_the_usual_reserve_says_so() -> None:
    with pytest.raises(InputError, match=r"^reserve_kib: got 8, wanted 0 or more, below .* 4 KiB"):
        toy(region("A", 0, 4))


def test_regions_that_are_not_tables_are_refused() -> None:
    start, end = GOOD.index("[[regions]]"), GOOD.index("[sources]")
    message = error_of(GOOD[:start] + "regions = [64, 32]\n" + GOOD[end:])
    assert message.startswith("toy.toml: regions: region 1: got 64, wanted a table")


@pytest.mark.parametrize(
    ("old", "new", "where", "near"),
    [
        ("clock_mhz = 100", "clock_mzh = 100", "key: got 'clock_mzh'", "clock_mhz"),
        ("size_kib = 64", "size_kb = 64", "region 'A': key: got 'size_kb'", "size_kib"),
        ('flash = "data', 'flsh = "data', "sources: key: got 'flsh'", "flash"),
        ('kind = "data"', 'kind = "date"', "region 'A': kind: got 'date'", "data"),
    ],
)
def test_an_unknown_key_or_kind_is_told_with_its_nearest_match(
    old: str, new: str, where: str, near: str
) -> None:
    message = error_of(edited(old, new))
    assert message.startswith(f"toy.toml: {where}")
    assert message.endswith(f"did you mean {near!r}?")


def test_a_total_that_differs_from_the_sum_of_the_data_regions_is_refused() -> None:
    message = error_of(edited("ram_kib = 96", "ram_kib = 100"))
    assert message.startswith("toy.toml: ram_kib: got 100 KiB, wanted 96 KiB")


def test_a_code_region_does_not_count_towards_the_total() -> None:
    message = error_of(edited('kind = "data"', 'kind = "code"'))
    assert message.startswith("toy.toml: ram_kib: got 96 KiB, wanted 32 KiB")


def test_overlapping_regions_are_refused_with_both_names() -> None:
    message = error_of(edited("0x2001_0000", "0x2000_FFFF"))
    assert message.startswith("toy.toml: regions: got 'A' and 'B' overlapping")
    assert "0x20010000" in message
    assert "0x2000ffff" in message


def test_two_regions_of_one_name_are_refused() -> None:
    message = error_of(edited('name = "B"', 'name = "A"'))
    assert message.startswith("toy.toml: regions: got two regions named 'A'")


def test_a_board_without_data_regions_is_refused() -> None:
    message = error_of(GOOD.replace('kind = "data"', 'kind = "code"'))
    assert message.startswith("toy.toml: regions: got no region of kind 'data'")


def test_no_flash_at_all_is_refused_unless_it_is_external() -> None:
    message = error_of(edited("flash_kib = 512", "flash_kib = 0"))
    assert message.startswith("toy.toml: flash_kib: got 0 with flash on the chip")
    external = GOOD.replace("flash_kib = 512", "flash_kib = 0").replace("nal = false", "nal = true")
    assert parse(external).flash_bytes == 0


@pytest.mark.parametrize(
    "text",
    ["name = ", 'name = "a"\nname = "b"', "= 3", "clock_mhz = " + "9" * 5000, "a = " + "[" * 9000],
)
def test_text_that_is_not_toml_is_refused_with_its_file(text: str) -> None:
    message = error_of(text)
    assert message.startswith("toy.toml: got TOML that does not parse (")


def test_a_syntax_error_is_told_with_its_line() -> None:
    line = GOOD.split("\n").index("clock_mhz = 100") + 1
    assert f"(at line {line}, " in error_of(edited("clock_mhz = 100", "clock_mhz 100"))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.toml: got No such file"):
        load(str(tmp_path / "missing.toml"))


def test_a_folder_called_like_a_profile_is_refused(tmp_path: Path) -> None:
    (tmp_path / "board.toml").mkdir()
    with pytest.raises(InputError, match=r"board\.toml: got .*wanted a readable TOML file"):
        load(tmp_path / "board.toml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "board.toml").write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(InputError, match=r"board\.toml: got bytes that are not UTF-8"):
        load(tmp_path / "board.toml")


@pytest.mark.parametrize(
    ("name", "near"), [("stm32f747", "stm32f767"), ("PIKO", "pico"), ("nrf52480", "nrf52840")]
)
def test_an_unknown_board_is_told_with_the_nearest_name_or_alias(name: str, near: str) -> None:
    with pytest.raises(InputError) as caught:
        load(name)
    message = str(caught.value)
    assert message.startswith(f"device: got {name!r}, wanted one of ")
    assert f"did you mean {near!r}?" in message
    assert all(board in message for board in BOARDS)


@pytest.mark.parametrize("name", ["", "zzzz", "\0", "x" * 5000])
def test_a_name_near_nothing_lists_what_exists(name: str) -> None:
    with pytest.raises(InputError) as caught:
        load(name)
    assert "did you mean" not in str(caught.value)
    assert "stm32f746-disco" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "aliases"), [("one", ()), ("other", ("one",)), ("two", ("uno",)), ("own", ("own",))]
)
def test_a_name_or_alias_used_twice_is_refused(name: str, aliases: tuple[str, ...]) -> None:
    first = toy(region("A", 0, 64), name="one", aliases=("uno",))
    second = toy(region("A", 0, 64), name=name, aliases=aliases)
    with pytest.raises(InputError, match=r"^b\.toml: name or alias '\w+': got a name that \w\.toml"):
        by_any_name({"a.toml": first, "b.toml": second})


def test_a_folder_with_a_name_used_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(GOOD)
    (tmp_path / "b.toml").write_text(edited('name = "toy"', 'name = "toy-1"'))
    with pytest.raises(InputError, match=r"^b\.toml: name or alias 'toy-1': got .* a\.toml"):
        read_folder(tmp_path)


def test_a_device_built_in_python_gets_the_same_checks() -> None:
    with pytest.raises(InputError, match="overlapping"):
        toy(region("A", 0, 64), region("B", 0, 64))
    with pytest.raises(InputError, match="region 'A': size: got 0 bytes"):
        region("A", 0, 0)


def test_devices_can_be_compared_and_used_as_keys() -> None:
    assert {load("pico"): 1}[load("rp2040")] == 1
