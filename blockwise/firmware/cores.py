"""The Arm cores that firmware is built for and emulated as, and how every tool calls them.

A board's profile says which core it has, and which of its options (FPU, DSP, vectors). An option that the
board lacks is switched off, so that no compiler uses what is not there.
"""

import re
from dataclasses import dataclass

from devices.boards.profile import Device
from devices.errors import InputError


@dataclass(frozen=True)
class Pace:
    """How fast a core runs instructions, by a benchmark that both sides know.

    ``per_mhz`` are iterations of CoreMark per second and MHz, from ``source``; ``instructions`` those of one
    iteration, counted in unicorn (EEMBC's sources, GCC 12.2, -O3, this project's flags).
    """

    per_mhz: float
    instructions: int
    source: str

    @property
    def cycles_per_instruction(self) -> float:
        """On average over CoreMark: lists, matrices and a state machine, in memory without wait states."""
        return 1e6 / self.per_mhz / self.instructions

    @property
    def rests_on(self) -> str:
        """In words."""
        return (
            f"{self.cycles_per_instruction:.2f} cycles per instruction, as CoreMark takes:"
            f" {self.per_mhz:g} iterations per second and MHz ({self.source}),"
            f" {self.instructions:,} instructions each; without wait states of flash or caches"
        )


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

_TABLE = "Ibrahim, ARM-Based Microcontroller Projects Using mbed, table 3.2"

PACES: dict[str, Pace] = {
    "Cortex-M0+": Pace(2.46, 387_553, "SAM D21 datasheet"),
    "Cortex-M3": Pace(3.32, 295_055, _TABLE),
    "Cortex-M4": Pace(3.40, 295_034, "NXP AN12284"),
    "Cortex-M7": Pace(5.01, 285_509, _TABLE),
    "Cortex-M33": Pace(4.02, 295_059, "NXP AN12284"),
}
"""Of the cores whose instructions can be counted here."""

_ARM = re.compile(r"(?:\d+x )?(Cortex-M\d+\+?)F?")


def core_of(device: Device) -> Core:
    """The core that the board's profile names; of several alike, one runs the training.

    Raises InputError for one that has no build.
    """
    found = _ARM.fullmatch(device.core)
    if found is None or found[1] not in CORES:
        raise InputError(
            f"firmware for {device.name}", got=f"a {device.core} core", wanted=f"one of {', '.join(CORES)}",
            do="choose another board: this core has no build yet",
        )  # fmt: skip
    return CORES[found[1]]
