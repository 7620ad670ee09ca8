"""The Thumb encoding by hand."""

import struct

import pytest

from blockwise.firmware.emulators.thumb import behind_conditional_accesses, instructions_in

NOP, WIDE_NOP = (0xBF00,), (0xF3AF, 0x8000)
STR, STR_WIDE, LDRB, VSTR = (0x6008,), (0xF84E, 0x3C10), (0x7808,), (0xED80, 0x0A00)
NEG, PUSH, STM = (0x4252,), (0xB510,), (0xC107,)
IT, ITE, ITTEE = (0xBF48,), (0xBF34,), (0xBF33,)


def code(*parts):
    words = [word for part in parts for word in part]
    return struct.pack(f"<{len(words)}H", *words)


def test_instructions_of_one_and_two_halfwords_are_counted():
    assert instructions_in(code(NOP, WIDE_NOP, STR, STR_WIDE)) == 4
    assert instructions_in(b"") == 0


@pytest.mark.parametrize("access", [STR, STR_WIDE, LDRB, VSTR, PUSH, STM])
def test_the_instruction_behind_a_block_with_an_access_is_found(access):
    assert list(behind_conditional_accesses(code(NOP, IT, access, NOP, NOP))) == [len(code(NOP, IT, access))]
    whole = code(ITE, NEG, access, NOP, STR, NOP)
    assert list(behind_conditional_accesses(whole)) == [len(code(ITE, NEG, access))]


def test_a_block_of_four_ends_behind_its_fourth():
    whole = code(ITTEE, STR, NEG, NEG, NEG, NOP)
    assert list(behind_conditional_accesses(whole)) == [len(code(ITTEE, STR, NEG, NEG, NEG))]


def test_blocks_that_touch_no_memory_and_hints_are_left_alone():
    assert list(behind_conditional_accesses(code(IT, NEG, STR, NOP, NOP, STR))) == []
