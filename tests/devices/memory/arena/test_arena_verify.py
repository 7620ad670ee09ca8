"""Errors planted into a plan, each of which the verifier must find."""

import pytest

from devices.memory.arena import Buffer, violations

A, B, C = Buffer("a", 8, 0, 4), Buffer("b", 8, 2, 6), Buffer("c", 16, 4, 9)
GOOD = {"a": (0, 0), "b": (0, 16), "c": (0, 0)}
REGIONS = [(0, 24)]


def found(places=None, regions=None, buffers=(A, B, C), **options) -> str:
    wrong = violations(buffers, GOOD | (places or {}), regions or REGIONS, **{"alignment": 8} | options)
    assert len(wrong) <= 1, wrong
    return "".join(wrong)


def test_a_good_plan_has_no_violation():
    assert found() == ""


@pytest.mark.parametrize("offset", [8, 16, 23])
def test_an_overlap_in_space_and_time_is_found(offset):
    assert found({"c": (0, offset)}, [(0, 64)], alignment=1).endswith(f"overlap at {max(offset, 16)}")


def test_two_buffers_of_one_lifetime_at_one_offset_are_found():
    twin = Buffer("twin", 8, 0, 4)
    assert found({"twin": (0, 0)}, buffers=(A, twin, B, C)) == "a and twin overlap at 0"


def test_a_small_buffer_inside_of_a_large_one_is_found():
    large, small = Buffer("large", 100, 0, 9), Buffer("small", 1, 5, 6)
    wrong = violations([large, small], {"large": (0, 0), "small": (0, 50)}, [(0, 100)])
    assert wrong == ["large and small overlap at 50"]


def test_sharing_bytes_at_different_times_is_no_violation():
    assert violations([A, C], {"a": (0, 0), "c": (0, 0)}, [(0, 16)]) == []


def test_a_misaligned_offset_is_found():
    assert "not a multiple of 8" in found({"b": (0, 20)}, [(0, 32)])


def test_a_misaligned_address_is_found_although_its_offset_is_aligned():
    wrong = violations([A], {"a": (0, 0)}, [(4, 24)], alignment=8)
    assert wrong == ["a: address 4 is not a multiple of 8"]


@pytest.mark.parametrize("offset", [24, 160, -8])
def test_what_leaves_its_region_is_found(offset):
    assert "is outside of 24 bytes" in found({"b": (0, offset)})


def test_a_missing_buffer_an_unknown_one_and_an_unknown_region_are_found():
    assert violations([A, B], {"a": (0, 0)}, REGIONS) == ["b: no place"]
    assert violations([A], {"a": (0, 0), "x": (0, 8)}, REGIONS) == ["x: a place, but no such buffer"]
    assert violations([A], {"a": (1, 0)}, REGIONS) == ["a: region 1 does not exist"]


def test_a_reserve_that_is_not_free_is_found():
    assert found(reserve_bytes=8) == "no region keeps 8 bytes free at its end"
    assert found(reserve_bytes=8, regions=[(0, 32)]) == ""
    assert found(reserve_bytes=8, regions=[(0, 24), (64, 8)]) == ""


def test_buffers_without_bytes_or_time_take_no_room():
    empty, instant = Buffer("empty", 0, 0, 9), Buffer("instant", 8, 3, 3)
    assert found({"empty": (0, 8), "instant": (0, 0)}, buffers=(A, B, C, empty, instant)) == ""
