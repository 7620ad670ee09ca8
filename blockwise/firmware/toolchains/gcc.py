"""GCC for Arm: the second compiler, which also states a bound of the stack."""

import shutil
import tempfile
from pathlib import Path

from blockwise.firmware.cores import Core, core_of
from blockwise.firmware.toolchains import flags
from blockwise.firmware.toolchains.stack import bound_of
from blockwise.firmware.toolchains.toolchain import BOARD_SCRIPT, Built, Target, call, sources
from devices.boards.profile import Device
from devices.errors import InputError

COMPILER = "arm-none-eabi-gcc"
_FLAGS = (
    "-O3",
    "-fno-tree-loop-distribute-patterns",  # or the loop of memset becomes a call of itself
    "-fno-ipa-icf",  # operations that are alike stay apart: each is counted by its name
)
LINK = (*flags.LINK, "-nostartfiles")


class Gcc:
    """``arm-none-eabi-gcc``."""

    name = "gcc"

    def require(self, device: Device) -> None:
        """As :class:`~blockwise.firmware.toolchains.toolchain.Toolchain` says."""
        command(device)

    def build(
        self, project: Path, device: Device, target: Target, elf: Path, script: str = BOARD_SCRIPT
    ) -> Built:
        """As :class:`~blockwise.firmware.toolchains.toolchain.Toolchain` says.

        The bound of the stack is checked by the linker script against what the reserve leaves for it.
        """
        compiler = command(device)
        with tempfile.TemporaryDirectory() as folder:
            objects = [Path(folder, name).with_suffix(".o") for name in sources(project, target)]
            for source, made in zip(sources(project, target), objects, strict=True):
                call(COMPILER, (*compiler, "-c", source, "-o", made), project)
            bound = bound_of((path.with_suffix(".ci").read_text("utf-8") for path in objects), "reset")
            told = () if bound is None else (f"-Wl,--defsym=blockwise_stack_bound={bound}",)
            link = (*LINK, *told, f"-Wl,-T,{script}")
            call(COMPILER, (*compiler, *link, *objects, "-lgcc", "-o", elf.resolve()), project)
        return Built(elf, self.name, bound)


def command(device: Device) -> tuple[str, ...]:
    """Compiler and flags for a board. Raises InputError without the compiler, or a build for its core."""
    told = flags_of(device)
    if shutil.which(COMPILER) is None:
        raise InputError(
            "--toolchain gcc", got=f"no {COMPILER}", wanted="the compiler",
            do="install it: apt install gcc-arm-none-eabi, or choose --toolchain zig",
        )  # fmt: skip
    return (COMPILER, *told, "-fcallgraph-info=su")


def flags_of(device: Device) -> tuple[str, ...]:
    """For compiling. Raises InputError if the board's core has no build."""
    return (*machine(core_of(device), device), *flags.COMMON, *_FLAGS)


def machine(core: Core, device: Device) -> tuple[str, ...]:
    """The target, without what the board does not have."""
    options = ""
    if core.name == "Cortex-M33" and not device.dsp:
        options += "+nodsp"
    if core.name == "Cortex-M55" and not device.vector:
        options += "+nomve"
    if not (device.fpu and core.gcc_fpu):
        return (f"-mcpu={core.gcc}{options}", "-mthumb", "-mfloat-abi=soft")
    return (f"-mcpu={core.gcc}{options}", "-mthumb", f"-mfpu={core.gcc_fpu}", "-mfloat-abi=hard")


GCC = Gcc()
