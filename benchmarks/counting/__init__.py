"""Instructions of one C kernel on one core: a program is built for a board, and what runs is counted."""

import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import blockwise
from blockwise.firmware.cores import core_of
from blockwise.firmware.emulators.program import Program, program_of
from devices.boards.profile import Device

KERNELS = Path(blockwise.__file__).parent / "firmware" / "c" / "integer"
SOURCE = Path(__file__).with_name("counted.c")
CODE, RAM, RAM_BYTES, PAINTED = 0x0800_0000, 0x2000_0000, 0x40_0000, 0x8000
STOP = CODE + 0xF_0000
PAINT = 0xA5
SCRIPT = """SECTIONS {
  . = CODE; .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) }
  . = 0x20008000; .data : { *(.data*) *(.bss*) }
  /DISCARD/ : { *(.ARM.*) }
}"""
LONG_INSTRUCTIONS = (0b11101, 0b11110, 0b11111)
"""The first five bits of instructions that take two half words (Armv7-M manual, A5.1)."""


@dataclass(frozen=True)
class Layer:
    """A convolution of one image, stride 1 and same padding: side of its map, channels, filters, kernel."""

    size: int
    channels: int
    filters: int
    kernel: int = 3

    @property
    def macs(self) -> int:
        """Products of one pass, those with the padding counted."""
        return self.size**2 * self.channels * self.filters * self.kernel**2

    def literal(self) -> str:
        """As the C structure is filled."""
        n, c, f, k = self.size, self.channels, self.filters, self.kernel
        return f"{{1, {n}, {n}, {c}, {n}, {n}, {f}, {k}, {k}, 1, 1, {k // 2}, {k // 2}, 1, 1, 1}}"


@dataclass(frozen=True)
class Kernel:
    """One of the three sums: codings of what it reads, and whether a max pool's windows hold its errors."""

    name: str  # of its C function
    x: str = "INT8"
    w: str = "INT8"
    pooled: bool = False

    def call(self) -> str:
        """Its call in C."""
        operands = {"conv_sums": "inputs, weights", "conv_input_sums": "errors, weights"}
        return f"{self.name}(g, {operands.get(self.name, 'errors, inputs')}, keep, sums)"


@dataclass(frozen=True)
class Counted:
    """Of one pass: instructions, bytes of stack (None where they were not looked at) and of code."""

    instructions: int
    stack_bytes: int | None
    code_bytes: int


def header(layer: Layer, kernel: Kernel, seed: int = 1) -> str:
    """What counted.c leaves open. Operands are random in all of their bits; no error is zero."""
    rng = np.random.default_rng(seed)
    n, c, f, k = layer.size, layer.channels, layer.filters, layer.kernel
    outputs = (n // 2) ** 2 * f if kernel.pooled else n * n * f
    arrays = {"x": n * n * c, "w": f * k * k * c, "e": outputs, "positions": outputs // 4}
    texts = [f"#define GEOMETRY {layer.literal()}"]
    texts += [
        f"#define SUMS {max(n * n * f, n * n * c, f * k * k * c)}",
        f"#define KERNEL_CALL {kernel.call()}",
    ]
    texts += [f"#define X_CODING {kernel.x}", f"#define W_CODING {kernel.w}"]
    texts.append(f"#define POSITIONS {'positions' if kernel.pooled else 'NULL'}")
    for name, count in arrays.items():
        values = ", ".join(map(str, rng.integers(1, 128, count)))
        texts.append(f"__attribute__((unused)) static const uint8_t {name}[] = {{{values}}};")
    return "\n".join([*texts, ""])


def build(command: Sequence[str], folder: Path, text: str, form: str, *, semihosted: bool) -> Path:
    """The program of ``text`` (:func:`header`) with kernels of one ``form``; ``semihosted`` for QEMU."""
    (folder / "counted.h").write_text(text)
    (folder / "counted.ld").write_text(SCRIPT.replace("CODE", "0" if semihosted else hex(CODE)))
    elf = folder / "counted.elf"
    kind = f"-DBLOCKWISE_KERNELS_{form.upper()}"
    flags = (kind, *(["-DSEMIHOSTED"] if semihosted else []), f"-I{KERNELS}", f"-I{folder}")
    library = () if "ziglang" in command else ("-nostdlib", "-lgcc")
    entry = "reset" if semihosted else "counted"
    link = (f"-Wl,-e,{entry}", "-Wl,--gc-sections", f"-Wl,-T,{folder / 'counted.ld'}", "-static")
    subprocess.run([*command, *flags, *link, str(SOURCE), *library, "-o", str(elf)], check=True)
    return elf


def code_bytes(program: Program) -> int:
    """Of all functions that the linker kept."""
    return sum(function.end - function.start for function in program.functions)


def by_unicorn(elf: Path, device: Device) -> Counted:
    """All instructions from the entry of counted() to its return."""
    import unicorn
    from unicorn import arm_const

    program = program_of(elf)
    engine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    engine.ctl_set_cpu_model(getattr(arm_const, f"UC_CPU_ARM_CORTEX_{core_of(device).unicorn}"))
    engine.mem_map(CODE, 0x10_0000)
    engine.mem_map(RAM, RAM_BYTES)
    for address, content in program.segments:
        engine.mem_write(address, content)
    engine.mem_write(RAM, bytes([PAINT]) * PAINTED)
    engine.reg_write(arm_const.UC_ARM_REG_SP, RAM + PAINTED)
    engine.reg_write(arm_const.UC_ARM_REG_LR, STOP | 1)
    runs: dict[tuple[int, int], int] = {}

    def block(engine: object, address: int, size: int, data: object) -> None:
        runs[address, size] = runs.get((address, size), 0) + 1

    engine.hook_add(unicorn.UC_HOOK_BLOCK, block)
    engine.emu_start(program.symbols["counted"] | 1, STOP)
    instructions = sum(
        count * length(bytes(engine.mem_read(address, size))) for (address, size), count in runs.items()
    )
    stack = bytes(engine.mem_read(RAM, PAINTED)).lstrip(bytes([PAINT]))
    return Counted(instructions, len(stack), code_bytes(program))


def length(code: bytes) -> int:
    """Instructions of a block."""
    halves = struct.unpack(f"<{len(code) // 2}H", code)
    at = count = 0
    while at < len(halves):
        at += 2 if halves[at] >> 11 in LONG_INSTRUCTIONS else 1
        count += 1
    return count


def by_qemu(elf: Path) -> Counted:
    """By SysTick, which advances with the instructions; a loop of known length tells how fast."""
    command = (
        "qemu-system-arm", "-M", "mps3-an547", "-nographic", "-monitor", "none", "-serial", "none", "-icount",
        "shift=0,sleep=off", "-semihosting-config", "enable=on,target=native", "-kernel", str(elf),
    )  # fmt: skip
    subprocess.run(command, check=True, cwd=elf.parent, stdin=subprocess.DEVNULL, timeout=120)
    known, ticks, found = struct.unpack("<3I", (elf.parent / "ticks.bin").read_bytes())
    return Counted(round(found * known / ticks), None, code_bytes(program_of(elf)))
