"""What blockwise.h says of firmware that trains blocks one behind the other."""

from blockwise.firmware.program import Firmware

ONE_BY_ONE = """
#define BLOCKWISE_PHASES {count}

/* Blocks are trained one behind the other: begin a block's phase, step as often as you like, and end it. Of
 * blockwise_state, that which a block has in its phase shares its bytes with that of others. */
void blockwise_begin(uint32_t phase);
void blockwise_end(void);"""


def declarations(firmware: Firmware) -> str:
    """Nothing for firmware that trains all at once."""
    return ONE_BY_ONE.format(count=len(firmware.phases)) if firmware.one_by_one else ""
