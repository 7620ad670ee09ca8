"""The Makefile builds the programs that the toolchains build, byte for byte."""

import os
import shutil
import subprocess
import sys

import pytest
from firmware_boards import firmware_on
from tools import HAS_GCC

from blockwise.firmware import project
from blockwise.firmware.toolchains import GCC, ZIG

HAS_MAKE = shutil.which("make") is not None
FOUND = [ZIG, *([GCC] if HAS_GCC else [])] if HAS_MAKE else []


@pytest.mark.slow
@pytest.mark.skipif(not HAS_MAKE, reason="no make")
@pytest.mark.parametrize("toolchain", FOUND or [None])
@pytest.mark.slow
@pytest.mark.long
def test_make_builds_what_the_toolchain_builds(toolchain, tmp_path):
    firmware, _ = firmware_on("stm32f405", "niti-local")
    project(firmware, tmp_path / "project")
    arguments = ["ZIG=1", f"BOARD_CC={sys.executable} -m ziglang cc"] if toolchain is ZIG else []
    subprocess.run(
        ["make", "-C", str(tmp_path / "project"), *arguments], check=True, capture_output=True,
        env=os.environ | {"MAKEFLAGS": ""},
    )  # fmt: skip
    for target in ("check", "main"):
        made = toolchain.build(tmp_path / "project", firmware.device, target, tmp_path / f"{target}.elf").elf
        assert loaded(made) == loaded(tmp_path / "project" / f"{target}.elf")
        assert (tmp_path / "project" / f"{target}.elf").stat().st_size > 1000


def loaded(elf):
    """What is put into memory."""
    from blockwise.firmware.emulators.program import program_of

    return program_of(elf).segments
