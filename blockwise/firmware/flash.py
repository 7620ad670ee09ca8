"""What a project will take of the flash, before any compiler has seen it."""

from blockwise.firmware.emit.dialect import dialect_of
from blockwise.firmware.float_facts import FloatFacts
from blockwise.firmware.memory import memory_of
from blockwise.firmware.program import Firmware
from devices.errors import InputError

KERNELS, INTEGER_CODE = 16_000, 580
"""Bytes of code of integer regimes, as zig builds it: what is there once, and an operation.

Of 13 builds, whole networks and trained parts of them, half are at most 9 % off, the farthest 25 %.
"""
FLOAT_CODE = 950
"""The same an operation of float regimes: 777 (the longest program) to 1,484 in 5 builds
(benchmarks/firmware.py); it is as near where a part of a network is trained."""


def constant_bytes(firmware: Firmware) -> int:
    """First values, where the program does not draw them."""
    given = 0 if firmware.given is None else sum(tensor.bytes for tensor in firmware.resident)
    return given + dialect_of(firmware).constant_bytes


def flash_estimate(firmware: Firmware) -> int:
    """Bytes of code and constants, the code by its number of operations."""
    operations = len(firmware.schedule.operations)
    floats = isinstance(firmware.arithmetic, FloatFacts)
    code = FLOAT_CODE * operations if floats else KERNELS + INTEGER_CODE * operations
    return code + constant_bytes(firmware)


def check_flash(firmware: Firmware) -> None:
    """Raise InputError where the constants alone exceed the board's flash."""
    room = memory_of(firmware).flash.size_bytes if firmware.device else 0
    constants = constant_bytes(firmware)
    if room and constants > room:
        raise InputError(
            f"flash of {firmware.device.name if firmware.device else 'the board'}",
            got=f"{constants:,} bytes of first values", wanted=f"at most {room:,} beside the code",
            do="choose a smaller network or another board",
        )  # fmt: skip
