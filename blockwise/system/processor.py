"""The processor that this program runs on."""

import contextlib
import platform
from functools import cache
from pathlib import Path


@cache
def processor() -> str:
    """Its name as the system tells it."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        if names:
            return f"{names[0]} ({platform.machine()})"
    return platform.processor() or platform.machine()
