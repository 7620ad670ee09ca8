"""As much of the Thumb encoding as counting and watching need: lengths, IT blocks, loads and stores.

Source: Armv7-M architecture reference manual, A5.1 (lengths), A5.2 and A5.3 (encodings), A7.7.38 (IT).
"""

from collections.abc import Iterator

HALFWORD = 2


def instructions(code: bytes) -> Iterator[tuple[int, int, int]]:
    """Of each instruction in a row: where it begins, its bytes, and its first halfword."""
    at = 0
    while at + HALFWORD <= len(code):
        first = int.from_bytes(code[at : at + HALFWORD], "little")
        size = 2 * HALFWORD if first >> 11 >= 0b11101 else HALFWORD
        yield at, size, first
        at += size


def instructions_in(code: bytes) -> int:
    """How many."""
    return sum(1 for _ in instructions(code))


def behind_conditional_accesses(code: bytes) -> Iterator[int]:
    """Where the instruction behind each IT block lies that has a load or a store under its conditions."""
    left, touches = 0, False
    for at, _, first in instructions(code):
        if left == 0 and touches:
            yield at
            touches = False
        if left:
            left -= 1
            touches = touches or _accesses(first)
        elif first >> 8 == 0xBF and first & 0xF:
            mask = first & 0xF
            left = 4 - ((mask & -mask).bit_length() - 1)


def _accesses(first: int) -> bool:
    """Loads and stores of any width; some others that look alike do no harm."""
    narrow = 0x4800 <= first < 0xA000 or first >> 9 in (0xB4 >> 1, 0xBC >> 1) or first >> 12 == 0xC
    return narrow or first >> 9 in (0xE8 >> 1, 0xEC >> 1, 0xF8 >> 1)
