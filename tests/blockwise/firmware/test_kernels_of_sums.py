"""The C kernels of sums of products against PyTorch in float64, on this machine and on emulated cores."""

import kernel_cases
import kernel_programs
import pytest
from tools import HAS_GCC, HAS_QEMU

from blockwise.firmware.toolchains import gcc, zig
from devices.boards.profile import load

CASES = list(kernel_cases.cases())
WANTED = kernel_cases.expected(CASES)
COMMANDS = {"zig": zig.command, **({"gcc": gcc.command} if HAS_GCC else {})}
RUNS = [
    ("zig", "stm32f405", "dsp"),
    *(
        pytest.param(*run, marks=pytest.mark.slow)
        for run in (
            ("zig", "rp2040", "plain"), ("zig", "stm32f103", "plain"), ("zig", "stm32f746", "dsp"),
            ("zig", "stm32u575", "dsp"), ("gcc", "stm32f405", "dsp"), ("gcc", "stm32f405", "plain"),
        )
        if run[0] in COMMANDS
    ),
]  # fmt: skip
"""Compiler, board, and which kernels."""


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["formulas", "plain", "dsp"])
def test_sums_of_every_shape_coding_and_fill_are_those_of_pytorch(variant, tmp_path):
    program = kernel_programs.host_program(variant, tmp_path)
    sums = kernel_programs.run_on_host(program, kernel_cases.batch(CASES), len(WANTED))
    assert kernel_cases.first_difference(CASES, sums) == ""


@pytest.mark.parametrize(("compiler", "board", "variant"), RUNS)
@pytest.mark.slow
@pytest.mark.long
def test_so_are_the_sums_of_a_board_s_own_instructions(compiler, board, variant, tmp_path):
    device = load(board)
    elf = kernel_programs.board_program(variant, COMMANDS[compiler](device), tmp_path)
    sums = kernel_programs.run_in_unicorn(elf, device, kernel_cases.batch(CASES), len(WANTED))
    assert kernel_cases.first_difference(CASES, sums) == ""


@pytest.mark.skipif(not HAS_QEMU, reason="no qemu-system-arm")
@pytest.mark.parametrize("compiler", COMMANDS)
@pytest.mark.slow
def test_so_are_the_sums_of_vectors(compiler, tmp_path):
    command = COMMANDS[compiler](load("stm32n657"))
    elf = kernel_programs.board_program("mve", command, tmp_path, semihosted=True)
    sums = kernel_programs.run_in_qemu(elf, kernel_cases.batch(CASES))
    assert kernel_cases.first_difference(CASES, sums) == ""
