"""Profiles as files: what is read, and every way that one can be wrong."""

import re
from pathlib import Path

import pytest
from toy_board import GOOD, WRITABLE, edited, edited_flash, error_of

from devices.boards.flash import Flash
from devices.boards.profile import (
    KIB,
    load,
    parse,
)
from devices.errors import InputError


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


@pytest.mark.parametrize("escape", ["\\u001b[31m", "\\n", "\\u0000", "\\u2028"])
def test_texts_have_no_control_characters_which_would_reach_terminals_and_pictures(escape: str) -> None:
    (title,) = re.findall(r"^title = .*$", GOOD, re.MULTILINE)
    with pytest.raises(InputError, match=r"title: got .*with a control character"):
        parse(GOOD.replace(title, f'title = "A board{escape} of mine"'))


def test_a_byte_order_mark_is_no_reason_to_refuse_a_file(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(GOOD, encoding="utf-8-sig")
    assert load(tmp_path / "toy.toml").name == "toy"


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
    assert message.startswith("toy.toml: got text that does not parse as TOML (")


def test_a_syntax_error_is_told_with_its_line() -> None:
    line = GOOD.split("\n").index("clock_mhz = 100") + 1
    assert f"(at line {line}, " in error_of(edited("clock_mhz = 100", "clock_mhz 100"))


@pytest.mark.parametrize("word", ["-1", "0x1_0000_0000", "1.5", '"1"'])
def test_words_for_a_boot_rom_are_words(word: str) -> None:
    told = error_of(edited_flash("erase_bytes", f"boot_words = [{word}]\nerase_bytes"))
    assert told.startswith("toy.toml: flash: boot_words: got")


@pytest.mark.parametrize(
    ("line", "figure", "wanted"),
    [
        ("clock_mhz", 10**400, "a whole number of MHz, 1 to 100,000"),
        ("size_kib", 99_999_999_999_999_999, "a whole number of KiB, 1 to 4,194,304"),
        ("flash_kib", 2**23, "a whole number of KiB, 0 to 4,194,304"),
    ],
)
def test_a_figure_that_no_board_has_is_refused(line: str, figure: int, wanted: str) -> None:
    text = re.sub(rf"^{line} = .*$", f"{line} = {figure}", GOOD, count=1, flags=re.MULTILINE)
    assert f"wanted {wanted}" in error_of(text)


def test_so_is_an_alignment_beyond_all_caches() -> None:
    message = error_of(edited("fpu = true", "alignment_bytes = 1099511627776\nfpu = true"))
    assert "wanted a power of two, up to 4,096" in message
