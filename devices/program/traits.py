"""Kinds of layers by what a program may do with them."""

from devices.network.ops import OPS

CODE_SCRATCH_BITS = 8
"""One filter's codes are unpacked to bytes (or to what wider codes take) before they are multiplied."""

CODE_MAKERS = tuple(op.kind for op in OPS if op.makes_codes)
"""Layers whose output is quantized to codes."""

PASSIVE = tuple(op.kind for op in OPS if op.passes_codes)
"""Layers that hand codes on as codes."""
