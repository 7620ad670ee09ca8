"""Integer weights that a project has in flash: those to start from, and those that no step moves."""

from collections.abc import Sequence

from blockwise.firmware.emit.text import FLASH_ALIGNMENT, IN_FLASH, flash_offsets
from blockwise.firmware.layout import state_to_board, to_board
from blockwise.firmware.program import Firmware

BYTES_A_LINE = 24
FROZEN = "frozen.c"
"""The file of all but those to start from at once."""


def source(firmware: Firmware) -> str:
    """weights.c: the state to start from, where a finished training gives it."""
    assert firmware.given is not None
    payload = state_to_board(firmware, [firmware.given[tensor.name] for tensor in firmware.resident])
    return (
        f'#include "blockwise.h"\n\nconst uint8_t blockwise_given[BLOCKWISE_STATE_BYTES] = {{\n'
        f"{_lines(payload)}\n}};\n"
    )


def frozen(firmware: Firmware) -> str:
    """frozen.c: weights that are not trained, which are read in place, and those that a turn begins with."""
    offsets, payload = flash_offsets(firmware), bytearray()
    for name, value in firmware.constants.items():
        payload += bytes(offsets[name] - len(payload))
        payload += to_board(firmware, firmware.schedule.tensors[name], value)
    payload += bytes(offsets[""] - len(payload))
    said = "/* Weights that no step moves here. Generated: do not edit. */"
    declared = f"#include <stdint.h>\n\n{declaration(firmware)}"
    array = f"const uint8_t {IN_FLASH}[{len(payload)}] = {{\n{_lines(payload)}\n}};"
    return f"{said}\n{declared}\n{array}\n"


def declaration(firmware: Firmware) -> str:
    """Of the array in frozen.c."""
    size = flash_offsets(firmware)[""]
    return f"extern const uint8_t {IN_FLASH}[{size}] __attribute__((aligned({FLASH_ALIGNMENT})));"


def _lines(payload: Sequence[int]) -> str:
    rows = [payload[i : i + BYTES_A_LINE] for i in range(0, len(payload), BYTES_A_LINE)]
    return "\n".join(f"    {', '.join(map(str, row))}," for row in rows)
