"""What the benchmark of the firmware's kernels counts, and what it must not exceed."""

import importlib
from pathlib import Path

import pytest

from blockwise.firmware.toolchains import zig
from devices.boards.profile import load

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
M4 = "stm32l4r5"
LIMITS = {"conv_sums": 2.0, "conv_input_sums": 2.5, "conv_weight_sums": 3.0}
"""Instructions per multiply-accumulate on a Cortex-M4, of 8-bit operands and errors of the whole map."""


@pytest.fixture
def counting(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("counting")


def test_instructions_are_counted_whether_they_take_one_half_word_or_two(counting):
    add, long_add, branch = "4018", "00eb0100", "fee7"  # adds r0, r3; add.w r0, r0, r1; b .
    assert counting.length(bytes.fromhex(add + long_add + branch)) == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", LIMITS)
def test_a_convolution_of_16_to_32_channels_stays_within_its_instructions(name, counting, tmp_path):
    layer = counting.Layer(16, 16, 32)
    device = load(M4)
    text = counting.header(layer, counting.Kernel(name))
    elf = counting.build(zig.command(device), tmp_path, text, "dsp", semihosted=False)
    found = counting.by_unicorn(elf, device)
    assert layer.macs / 2 < found.instructions < LIMITS[name] * layer.macs
    assert found.stack_bytes <= 512
