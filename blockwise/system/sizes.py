"""Sizes that may be asked for, and what of them this computer holds: refused before it is allocated."""

import math
from collections.abc import Sequence

import psutil

from devices.errors import InputError

MOST = 2**16
"""Largest width, side or number of classes: far beyond what a microcontroller trains."""
MOST_IMAGES = 2**24
"""At a time."""
MOST_VALUES = 2**30
"""In an image."""
GIB = 2**30
RANKS = 3
SHAPES = "C H W of images, C L of signals or F of features"


def check_size(flag: str, value: int, least: int = 1, most: int = MOST) -> None:
    """Raise InputError unless ``value`` is from ``least`` to ``most``."""
    if value < least:
        raise InputError(flag, got=value, wanted=f"at least {least}", do="choose a larger number")
    if value > most:
        raise InputError(flag, got=value, wanted=f"at most {most:,}", do="choose a smaller number")


def check_shape(flag: str, shape: Sequence[int]) -> None:
    """Raise InputError for the shape of an input that no board and no computer holds, or of no known rank."""
    if not 1 <= len(shape) <= RANKS:
        got = f"{len(shape)} numbers"
        raise InputError(flag, got=got, wanted=SHAPES, do="give one number for each axis of one sample")
    for size in shape:
        check_size(flag, size)
    check_size(flag, math.prod(shape), most=MOST_VALUES)


def check_room(flag: str, what: str, needed: int) -> None:
    """Raise InputError if ``what`` needs more bytes than this computer has."""
    there = psutil.virtual_memory().total
    if needed > there:
        raise InputError(
            flag, got=f"{what}: {needed / GIB:,.0f} GiB", wanted=f"less than the {there / GIB:,.0f} GiB of "
            "this computer", do="choose a smaller one",
        )  # fmt: skip
