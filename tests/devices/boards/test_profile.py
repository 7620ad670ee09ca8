"""Boards: regions that touch, names, and the checks that a device makes of itself."""

from pathlib import Path

import pytest
from toy_board import BOARDS, GOOD, WRITABLE, edited, region, toy

from devices.boards.profile import (
    KIB,
    Device,
    Region,
    by_any_name,
    load,
    parse,
    read_folder,
)
from devices.errors import InputError


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


def test_a_board_of_ones_own_is_loaded_by_path_whatever_the_file_is_called(tmp_path: Path) -> None:
    for name in ("toy.toml", "TOY.TOML", "toy.board"):
        (tmp_path / name).write_text(GOOD)
        assert load(str(tmp_path / name)).name == "toy"


def test_a_flash_that_contradicts_its_device_is_refused() -> None:
    flash = parse(WRITABLE).flash
    with pytest.raises(InputError, match=r"^flash: got 524288 bytes, external False, wanted 1048576 bytes"):
        Device(
            "toy", "Toy", "M4F", 100, (region("A", 0, 64),), 1024 * KIB, False, True, True, flash=flash
        )  # fmt: skip


def test_a_board_with_less_ram_than_the_usual_reserve_says_so() -> None:
    with pytest.raises(InputError, match=r"^reserve_kib: got 8, wanted 0 or more, below .* 4 KiB"):
        toy(region("A", 0, 4))


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
