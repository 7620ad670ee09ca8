"""README.md of a project: what it is, how it is built and used, and where its bytes lie."""

from blockwise.firmware.emit.dialect import Dialect
from blockwise.firmware.program import Firmware

TOP = """\
# {regime}, {batch} image(s) a step, in C

One training step as a program without heap and without libc: a function for every operation of the plan,
constant shapes, literal addresses.

- `blockwise.h` is what your own program calls; `main.c` is an example of one.
- `step.c` is the step. `kernels/` has what its operations are made of.
- `make host` builds it for this computer.
"""


def text(firmware: Firmware, dialect: Dialect) -> str:
    """The file."""
    top = TOP.format(regime=firmware.regime, batch=firmware.batch)
    return "\n".join([top, _ram(firmware), _state(firmware)])


def _ram(firmware: Firmware) -> str:
    rows = ["## RAM", "", "| run | from | bytes of tensors | of |", "|---|--:|--:|--:|"]
    for stretch in firmware.stretches:
        start = "" if stretch.start is None else f"0x{stretch.start:08X}"
        rows.append(f"| {stretch.name} | {start} | {stretch.height:,} | {stretch.size_bytes:,} |")
    return "\n".join([*rows, ""])


def _state(firmware: Firmware) -> str:
    rows = ["## State", "", "| tensor | run | offset | bytes | bits |", "|---|---|--:|--:|--:|"]
    for tensor in firmware.resident:
        spot = firmware.spots[tensor.name]
        run = firmware.stretches[spot.stretch].name
        rows.append(f"| {tensor.name} | {run} | {spot.offset:,} | {tensor.bytes:,} | {tensor.bits} |")
    return "\n".join([*rows, ""])
