"""This computer's own program of a project: the other side of checks of floats, and for a try on a desk."""

import importlib.util
import shutil
import sys
from pathlib import Path

from blockwise.firmware.toolchains.toolchain import Target, call
from devices.errors import InputError

FLAGS = (
    "-std=gnu99",
    "-O2",
    "-g0",  # zig writes what a debugger reads otherwise, which takes it a third of its time
    "-fno-strict-aliasing",
    "-ffp-contract=off",  # as on the board: each operation is rounded by itself
    "-fno-sanitize=all",
)
NOT_HERE = ("start.c", "port_semihosting.c", "flash_board.c", "port_flash.c")
"""Sources of a project that only a board has."""
OTHERS = {"check": "main.c", "main": "check.c"}


def build(project: Path, target: Target, program: Path) -> Path:
    """Compile the project's ``program``. Raises InputError without a compiler, BuildError if it refuses."""
    left_out = (*NOT_HERE, OTHERS[target])
    sources = sorted(path.name for path in project.glob("*.c") if path.name not in left_out)
    call("host cc", (*_compiler(), *FLAGS, *sources, "-o", program.resolve()), project)
    return program


def _compiler() -> tuple[str, ...]:
    """Zig's, if it is there, else the computer's own."""
    if importlib.util.find_spec("ziglang") is not None:
        return (sys.executable, "-m", "ziglang", "cc")
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None:
        raise InputError(
            "the host program", got="no C compiler", wanted="one for this computer",
            do="install one: uv sync --extra firmware, or pip install ziglang",
        )  # fmt: skip
    return (found,)
