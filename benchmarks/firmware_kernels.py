"""The firmware's kernels of sums: instructions per multiply-accumulate, by kernel, coding and core.

    python benchmarks/firmware_kernels.py [--record]

A 3x3 convolution of 16 to 32 channels on a map of 16x16 is built for a board of every core, plain and with
the core's own instructions, and run emulated: in unicorn, and the Cortex-M55 in QEMU where that is found.
Zig compiles, and where it is found arm-none-eabi-gcc too. Products with the padding count as made, and so do
those with the zeros that a max pool leaves: a kernel that skips them takes fewer instructions for the same
sums.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import counting
import output
from counting import Kernel, Layer

from blockwise.firmware.cores import core_of
from blockwise.firmware.toolchains import gcc, zig
from devices.boards.profile import load

LAYER = Layer(16, 16, 32)
KERNELS = {
    "forward, 8 bits": Kernel("conv_sums"),
    "forward, 4 bits with residue": Kernel("conv_sums", "UINT4", "RESIDUE"),
    "forward, 4 bits": Kernel("conv_sums", "UINT4", "STATES"),
    "input error, 8 bits": Kernel("conv_input_sums"),
    "input error, 4 bits with residue": Kernel("conv_input_sums", w="RESIDUE"),
    "input error, 4 bits": Kernel("conv_input_sums", w="STATES"),
    "input error behind a max pool, 8 bits": Kernel("conv_input_sums", pooled=True),
    "input error behind a max pool, 4 bits with residue": Kernel("conv_input_sums", w="RESIDUE", pooled=True),
    "input error behind a max pool, 4 bits": Kernel("conv_input_sums", w="STATES", pooled=True),
    "weight gradient, 8 bits": Kernel("conv_weight_sums"),
    "weight gradient, 4 bits": Kernel("conv_weight_sums", "UINT4"),
    "weight gradient behind a max pool, 8 bits": Kernel("conv_weight_sums", pooled=True),
    "weight gradient behind a max pool, 4 bits": Kernel("conv_weight_sums", "UINT4", pooled=True),
}
"""By what the table calls them: 4 bits are those of activations and weights as each kernel reads them."""

CORES = (
    ("rp2040", "plain"),
    ("stm32f103", "plain"),
    ("stm32l4r5", "plain"),
    ("stm32l4r5", "dsp"),
    ("stm32f746", "dsp"),
    ("stm32u575", "dsp"),
    ("stm32n657", "plain"),
    ("stm32n657", "mve"),
)
"""A board of each core, and the form of the kernels."""

TWICE = "stm32l4r5", "stm32n657"
"""Boards for which the second compiler builds too."""


def row(compiler: str, board: str, form: str, title: str) -> dict[str, Any]:
    """One kernel, built and counted, and printed."""
    device, kernel = load(board), KERNELS[title]
    command = {"zig": zig.command, "gcc": gcc.command}[compiler](device)
    core = core_of(device)
    with tempfile.TemporaryDirectory() as folder:
        text = counting.header(LAYER, kernel)
        elf = counting.build(command, Path(folder), text, form, semihosted=not core.unicorn)
        found = counting.by_unicorn(elf, device) if core.unicorn else counting.by_qemu(elf)
    per_mac = found.instructions / LAYER.macs
    stack = "" if found.stack_bytes is None else f"{found.stack_bytes} bytes of stack"
    print(f"{title:52}{core.name:11} {form:6}{compiler:4}{per_mac:7.2f} {stack}", flush=True)
    return {
        "kernel": title, "core": core.name, "form": form, "compiler": compiler, "per_mac": per_mac,
        "instructions": found.instructions, "stack_bytes": found.stack_bytes, "code_bytes": found.code_bytes,
    }  # fmt: skip


def main() -> None:
    """Build, count, print and write."""
    arguments = output.parser(__doc__).parse_args()
    has_gcc, has_qemu = (shutil.which(name) is not None for name in (gcc.COMPILER, "qemu-system-arm"))
    rows = [
        row(compiler, board, form, title)
        for title in KERNELS
        for board, form in CORES
        if core_of(load(board)).unicorn or has_qemu
        for compiler in ("zig", "gcc")
        if compiler == "zig" or (has_gcc and board in TWICE)
    ]
    conditions = {
        "layer": {
            "size": LAYER.size,
            "channels": LAYER.channels,
            "filters": LAYER.filters,
            "kernel": LAYER.kernel,
        },
        "macs": LAYER.macs,
        "boards": {core_of(load(board)).name: board for board, _ in CORES},
    }
    output.keep("firmware_kernels", {"conditions": conditions, "rows": rows}, record=arguments.record)


if __name__ == "__main__":
    main()
