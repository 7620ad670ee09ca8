"""The Arm cores that firmware is built for and emulated as, and how every tool calls them.

A board's profile says which core it has, and which of its options (FPU, DSP, vectors). An option that the
board lacks is switched off, so that no compiler uses what is not there.
"""

from dataclasses import dataclass

from devices.boards.profile import Device
from devices.errors import InputError
from devices.pace.cores import arm_core


@dataclass(frozen=True)
class Core:
    """One core with all of its options.

    ``zig`` and ``gcc`` are compiler names of the processor; ``zig_fpu`` and ``gcc_fpu`` of its
    single-precision unit ("" for none: no generated code uses doubles); ``unicorn`` its emulated model
    ("" where unicorn cannot run it); ``qemu`` the machine of QEMU that has it.
    """

    name: str
    zig: str
    gcc: str
    zig_fpu: str
    gcc_fpu: str
    unicorn: str
    qemu: str


# Processors: LLVM's ARM target (zig's names with underscores) and GCC's manual, "ARM options".
# FPUs: FPv4-SP in the M4, FPv5 in the M7, M33 and M55, each in its single-precision form.
# unicorn 2.1 has models up to the M33 (v8.1-M loops are invalid there).
# Machines: QEMU's documentation of Arm MPS2 and MPS3 boards. It has no M0+, and its M33 starts in a
# secure state with other addresses.
CORES: dict[str, Core] = {
    core.name: core
    for core in (
        Core("Cortex-M0+", "cortex_m0plus", "cortex-m0plus", "", "", "M0", ""),
        Core("Cortex-M3", "cortex_m3", "cortex-m3", "", "", "M3", "mps2-an385"),
        Core("Cortex-M4", "cortex_m4", "cortex-m4", "vfp4d16sp", "fpv4-sp-d16", "M4", "mps2-an386"),
        Core("Cortex-M7", "cortex_m7", "cortex-m7", "fp_armv8d16sp", "fpv5-sp-d16", "M7", "mps2-an500"),
        Core("Cortex-M33", "cortex_m33", "cortex-m33", "fp_armv8d16sp", "fpv5-sp-d16", "M33", ""),
        Core("Cortex-M55", "cortex_m55", "cortex-m55", "fp_armv8d16sp", "auto", "", "mps3-an547"),
    )
}


def core_of(device: Device) -> Core:
    """The core that the board's profile names; of several alike, one runs the training.

    Raises InputError for one that has no build.
    """
    name = arm_core(device)
    if name not in CORES:
        raise InputError(
            f"firmware for {device.name}", got=f"a {device.core} core", wanted=f"one of {', '.join(CORES)}",
            do="choose another board: this core has no build yet",
        )  # fmt: skip
    return CORES[name]
