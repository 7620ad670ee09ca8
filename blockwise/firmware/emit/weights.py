"""weights.c: the state to start from, where a finished training gives it."""

from blockwise.firmware.layout import state_to_board
from blockwise.firmware.program import Firmware

BYTES_A_LINE = 24


def source(firmware: Firmware) -> str:
    """The file."""
    assert firmware.given is not None
    payload = state_to_board(firmware, [firmware.given[tensor.name] for tensor in firmware.resident])
    rows = [payload[i : i + BYTES_A_LINE] for i in range(0, len(payload), BYTES_A_LINE)]
    lines = "\n".join(f"    {', '.join(map(str, row))}," for row in rows)
    return (
        f'#include "blockwise.h"\n\nconst uint8_t blockwise_given[BLOCKWISE_STATE_BYTES] = {{\n{lines}\n}};\n'
    )
