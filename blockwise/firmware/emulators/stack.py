"""The stack's high-water mark, by the paint that start.c puts below it."""

import numpy as np

PAINT = 0xA5A5A5A5
"""What untouched words hold; as start.c says."""


def painted_bytes(stack: bytes) -> int:
    """Bytes from the lowest word that is not paint to the end of the stack's room."""
    touched = np.flatnonzero(np.frombuffer(stack, "<u4") != PAINT)
    return len(stack) - 4 * int(touched[0]) if len(touched) else 0
