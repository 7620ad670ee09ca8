"""Zig's C compiler: Clang and lld as one Python wheel, for every core."""

import importlib.util
import sys
from pathlib import Path

from blockwise.firmware.cores import Core, core_of
from blockwise.firmware.toolchains import flags
from blockwise.firmware.toolchains.toolchain import BOARD_SCRIPT, Built, Target, call, sources
from devices.boards.profile import Device
from devices.errors import InputError

_FLAGS = (
    "-O2",
    "-fomit-frame-pointer",  # zig keeps it otherwise, and with it a register
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-fno-sanitize=all",  # zig traps undefined behaviour unless told not to
    "-fno-stack-protector",
)


class Zig:
    """``python -m ziglang cc``."""

    name = "zig"

    def require(self, device: Device) -> None:
        """As :class:`~blockwise.firmware.toolchains.toolchain.Toolchain` says."""
        command(device)

    def build(
        self, project: Path, device: Device, target: Target, elf: Path, script: str = BOARD_SCRIPT
    ) -> Built:
        """As :class:`~blockwise.firmware.toolchains.toolchain.Toolchain` says; no bound of the stack."""
        arguments = command(device)
        call(
            "zig cc",
            (*arguments, f"-Wl,-T,{script}", *sources(project, target), "-o", elf.resolve()),
            project,
        )
        return Built(elf, self.name)


def command(device: Device) -> tuple[str, ...]:
    """Compiler and flags for a board. Raises InputError without the compiler, or a build for its core."""
    told = flags_of(device)
    if importlib.util.find_spec("ziglang") is None:
        raise InputError(
            "--toolchain zig", got="no ziglang", wanted="the compiler",
            do="install it: uv sync --extra firmware, or pip install ziglang",
        )  # fmt: skip
    return (sys.executable, "-m", "ziglang", "cc", *told)


def flags_of(device: Device) -> tuple[str, ...]:
    """All but the linker script and the files. Raises InputError if the board's core has no build."""
    core = core_of(device)
    # The M0+ has no instruction for leading zeros or division, and cores without an FPU none for floats: the
    # compiler's own library brings them.
    alone = core.name != "Cortex-M0+" and device.fpu
    link = (flag for flag in flags.LINK if alone or flag != "-nostdlib")
    return (*machine(core, device), *flags.COMMON, *_FLAGS, *link)


def machine(core: Core, device: Device) -> tuple[str, ...]:
    """The target: zig's processors have no FPU but where it is added. Doubles would be calls either way."""
    options = ""
    if device.fpu and core.zig_fpu:
        options += f"+{core.zig_fpu}"
    if core.name == "Cortex-M33":  # the option is off unless it is asked for
        options += "+dsp" if device.dsp else "-dsp"
    if core.name == "Cortex-M55":
        options += "+mve+mve_fp" if device.vector else "-mve-mve_fp"
    abi = "eabihf" if device.fpu and core.zig_fpu else "eabi"
    return ("-target", f"thumb-freestanding-{abi}", f"-mcpu={core.zig}{options}")


ZIG = Zig()
