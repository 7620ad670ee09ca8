"""What is said of a project that was written and not checked: its RAM, its flash, its files, what to do."""

from pathlib import Path

from blockwise.firmware.result import FirmwareResult
from blockwise.report.text import join, size

NAMED = ("blockwise.h", "step.c", "main.c", "check.c", "board.ld", "Makefile", "README.md")
"""Files that a reader looks for; the rest is counted."""


def written_lines(result: FirmwareResult, folder: Path, again: str) -> list[str]:
    """``again`` is the command that checks the same project; empty where there are no images for it."""
    device = result.device
    runs = [f"{run.bytes:,} bytes at {run.start:#010x} ({run.name})" for run in result.ram]
    others = len(result.project) - len(NAMED)
    return [
        f"RAM: {join(runs)} of {device.title}, {size(device.reserve_bytes)} reserved for stack and statics",
        f"Flash: about {result.flash_estimate:,} of {result.flash_room:,} bytes, by its "
        f"{result.operations} operations",
        f"Files: {', '.join(NAMED)} and {others} more in {folder}",
        *([] if result.predicts else ["Prediction: left out, no room for it between the weights"]),
        f"Check it: {again or 'name --data, and --check 20'}",
        f"Build it: make -C {folder} (arm-none-eabi-gcc), or make -C {folder} ZIG=1; make host for a PC",
        f"Use it: call blockwise.h from a program of your own; {folder / 'README.md'} tells how",
    ]  # fmt: skip
