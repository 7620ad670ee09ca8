"""The C kernels of sums as programs: on this machine, and on an emulated Cortex-M."""

import ctypes
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import unicorn
from elftools.elf.elffile import ELFFile
from numpy.typing import NDArray
from unicorn import arm_const

import blockwise
from blockwise.firmware.cores import core_of
from devices.boards.profile import Device

KERNELS = Path(blockwise.__file__).parent / "firmware" / "c" / "integer"
PROGRAM = Path(__file__).parent / "firmware" / "kernels.c"

CODE, RAM, SUMS = 0x0800_0000, 0x2000_0000, 0x3000_0000
STACK_BYTES, MEMORY_BYTES = 0x4000, 0x80_0000
SCRIPT = """SECTIONS {
  . = 0x08000000; .text : { *(.text*) *(.rodata*) }
  . = 0x20000000; .data : { *(.data*) *(.bss*) }
  /DISCARD/ : { *(.ARM.*) }
}"""
SEMIHOSTED_SCRIPT = SCRIPT.replace("0x08000000; .text : {", "0; .text : { KEEP(*(.vectors))")


def header(variant: str) -> str:
    """Which kernels are tested: the formulas alone, or those of a kind of core."""
    names = ("conv_sums", "conv_input_sums", "conv_weight_sums")
    kind = f"#define BLOCKWISE_KERNELS_{'PLAIN' if variant == 'formulas' else variant.upper()}"
    formulas = "(g, ...) (is_general(g) ? general_{0} : plain_{0})(g, __VA_ARGS__)"
    called = formulas if variant == "formulas" else " {0}"
    defines = [f"#define {name.upper()}{called.format(name)}" for name in names]
    return "\n".join([kind, f'#include "{KERNELS / "kernels.h"}"', *defines, ""])


def host_program(variant: str, folder: Path, options: Sequence[str] = ()) -> ctypes.CDLL:
    """A library of this machine."""
    (folder / "kernels_under_test.h").write_text(header(variant))
    library = folder / f"{variant}.so"
    command = [
        sys.executable, "-m", "ziglang", "cc", "-shared", "-fPIC", "-O0", "-g0", "-std=gnu99", "-Wall",
        "-Wextra", "-Werror", *options, f"-I{folder}", str(PROGRAM), "-o", str(library),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


def run_on_host(library: ctypes.CDLL, words: NDArray[np.uint32], count: int) -> NDArray[np.int32]:
    """So many sums."""
    sums = np.zeros(count, np.int32)
    made = library.run_cases(words.ctypes.data_as(ctypes.c_void_p), sums.ctypes.data_as(ctypes.c_void_p))
    return sums[:made]


def board_program(variant: str, command: Sequence[str], folder: Path, *, semihosted: bool = False) -> Path:
    """A program by a toolchain's ``command`` for a board; ``semihosted`` for QEMU's Cortex-M55."""
    (folder / "kernels_under_test.h").write_text(header(variant))
    (folder / "kernels.ld").write_text(SEMIHOSTED_SCRIPT if semihosted else SCRIPT)
    elf = folder / f"{variant}.elf"
    entry = "reset" if semihosted else "run_cases"
    link = (f"-Wl,-e,{entry}", f"-Wl,-T,{folder / 'kernels.ld'}", "-static")
    library = () if "ziglang" in command else ("-nostdlib", "-lgcc")  # zig's has its own switches
    names = ("kernels.c", "memory.c", *(("semihosted.c",) if semihosted else ()))
    sources = (f"-I{folder}", *(str(PROGRAM.with_name(name)) for name in names))
    subprocess.run([*command, *link, *sources, *library, "-o", str(elf)], check=True)
    return elf


def run_in_unicorn(elf: Path, device: Device, words: NDArray[np.uint32], count: int) -> NDArray[np.int32]:
    """So many sums, from the board's core; the last operand ends where the memory for them does."""
    machine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    machine.ctl_set_cpu_model(getattr(arm_const, f"UC_CPU_ARM_CORTEX_{core_of(device).unicorn}"))
    machine.mem_map(CODE, 0x10_0000, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
    for start in (RAM, SUMS):
        machine.mem_map(start, MEMORY_BYTES, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
    with elf.open("rb") as file:
        program = ELFFile(file)
        entry = program["e_entry"]
        for segment in program.iter_segments():
            if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]:
                machine.mem_write(segment["p_paddr"], segment.data())
    operands = RAM + MEMORY_BYTES - 4 * len(words)
    machine.mem_write(operands, words.tobytes())
    stop = CODE + 0xF_0000
    for register, value in (("R0", operands), ("R1", SUMS), ("SP", RAM + STACK_BYTES), ("LR", stop | 1)):
        machine.reg_write(getattr(arm_const, f"UC_ARM_REG_{register}"), value)
    machine.emu_start(entry | 1, stop)
    made = machine.reg_read(arm_const.UC_ARM_REG_R0)
    return np.frombuffer(bytes(machine.mem_read(SUMS, 4 * min(made, count))), np.int32)


def run_in_qemu(elf: Path, words: NDArray[np.uint32]) -> NDArray[np.int32]:
    """The sums of QEMU's Cortex-M55."""
    (elf.parent / "in.bin").write_bytes(words.tobytes())
    machine = ("-M", "mps3-an547", "-nographic", "-monitor", "none", "-serial", "none")
    semihosting = ("-semihosting-config", "enable=on,target=native", "-kernel", str(elf))
    subprocess.run(["qemu-system-arm", *machine, *semihosting], check=True, cwd=elf.parent, timeout=120)
    return np.fromfile(elf.parent / "out.bin", np.int32)
