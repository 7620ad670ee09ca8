"""What a project will take of the flash, before any compiler has seen it."""

from blockwise.firmware.emit.dialect import dialect_of
from blockwise.firmware.float_facts import FloatFacts
from blockwise.firmware.memory import memory_of
from blockwise.firmware.program import Firmware
from devices.errors import InputError

INTEGER_CODE, FLOAT_CODE = 900, 950
"""Bytes of code an operation, as zig builds it: 743 to 1,123 in 9 builds of integer regimes, the median 899;
777 (the longest program) to 1,484 in 5 of float regimes (benchmarks/firmware.py)."""


def constant_bytes(firmware: Firmware) -> int:
    """First values, where the program does not draw them."""
    given = 0 if firmware.given is None else sum(tensor.bytes for tensor in firmware.resident)
    return given + dialect_of(firmware).constant_bytes


def flash_estimate(firmware: Firmware) -> int:
    """Bytes of code and constants, the code by its number of operations."""
    code = FLOAT_CODE if isinstance(firmware.arithmetic, FloatFacts) else INTEGER_CODE
    return code * len(firmware.schedule.operations) + constant_bytes(firmware)


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
