"""A whole check of the stand-in: what it says of a program that is right, and of each planted fault."""

import pytest
from stand_in import StandIn
from tiers import shown
from tools import HAS_GCC, needs_qemu
from toy_board import BOARDS

from blockwise.firmware.check.checking import _whole_steps, check
from blockwise.firmware.check.reference import Exchange
from blockwise.firmware.emulators import QEMU, UNICORN
from blockwise.firmware.toolchains import GCC, ZIG
from devices.boards.profile import load
from devices.errors import InputError

STEPS = 20


def checked(tmp_path, tiny=None, toolchain=ZIG, emulator=UNICORN, trace=True, **edits):
    tiny = tiny or StandIn()
    subject = tiny.subject(tiny.write(tmp_path / "project", **edits))
    return check(subject, tiny, STEPS, toolchain, emulator, trace=trace)


def test_a_program_that_is_right_is_equal_in_everything(tmp_path):
    found = checked(tmp_path)
    assert found.equal and found.wrong == ()
    assert found.compared.steps == STEPS
    assert [(run.planned_bytes, run.bytes, run.start) for run in found.ram] == [(104, 104, 0x2000_0000)]
    assert found.reserve.bytes == 8192 and found.reserve.statics == 0
    assert 0 < found.reserve.stack < 256 and found.reserve.stack_bound is None
    assert 1000 < found.flash.used < 4096 < found.flash.bytes
    assert [operation.name for operation in found.cost.operations] == [
        "batch load", "layer forward", "layer backward (weight)", "layer update"
    ]  # fmt: skip
    assert found.cost.macs == 16 and found.cost.operations[1].per_mac > 1
    expected = found.cost.instructions * (1e6 / 5.01 / 285_509) / 216e6  # a Cortex-M7 at 216 MHz
    assert found.cost.seconds == pytest.approx(expected) and "5.01" in found.cost.rests_on
    assert found.trace.peak_bytes == 100


def test_the_step_that_is_counted_is_the_first_of_each_phase_that_does_all_there_is_to_do():
    """Two phases of four steps and of two; every third step does more than others."""
    begun, step = Exchange(b"", None, step=False), Exchange(b"", None)
    told = [begun, *[step] * 4, begun, begun, *[step] * 2]
    assert _whole_steps(told, 1) == {0, 4}
    assert _whole_steps(told, 3) == {2, 5}


@pytest.mark.skipif(not HAS_GCC, reason="no arm-none-eabi-gcc")
def test_a_compiler_that_proves_a_bound_has_it_held(tmp_path):
    found = checked(tmp_path, toolchain=GCC)
    assert found.equal and found.reserve.stack <= found.reserve.stack_bound


@needs_qemu
@pytest.mark.parametrize("board", ["stm32f405", "stm32", "stm32n657"])
def test_a_second_compiler_and_a_second_emulator_agree(board, tmp_path):
    found = checked(tmp_path, StandIn(load(board)), GCC, QEMU, trace=False)
    assert found.equal and found.compared.steps == STEPS
    assert found.cost is None and found.trace is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "board",
    shown(
        (name for name in BOARDS if load(name).core.removeprefix("2x ")[:8] == "Cortex-M"),
        *("rp2040", "stm32f103", "nrf52840", "stm32f746-disco", "stm32n657"),
    ),
)
def test_every_built_in_board_with_a_build_is_checked_under_its_own_memory(board, tmp_path):
    tiny = StandIn(load(board))
    if board == "stm32n657":
        with pytest.raises(InputError, match="--emulator qemu"):
            checked(tmp_path, tiny)
        return
    found = checked(tmp_path, tiny)
    assert found.equal and found.compared.steps == STEPS
    assert found.ram[0].start in {region.start for region in tiny.device.regions}


# Planted faults: each is found, and named.

GRADIENT = "GRADIENT[i] = (int8_t)((SUMS[i]"


def test_a_kernel_that_writes_one_byte_past_its_tensor_is_named(tmp_path):
    more = "GRADIENT[16] = 1; GRADIENT[i] = (int8_t)((SUMS[i]"
    found = checked(tmp_path, step=(GRADIENT, more))
    end = StandIn().placement.places["layer.gradient"].address + 16
    assert found.wrong == (
        f"the byte at {end:#010x} was written, which is neither a tensor's nor reserve",
        "operation 2 (layer backward (weight)) writes 1 byte(s) behind layer.gradient"
        f" ({end:#010x}), which it does not name",
    )


def test_an_address_that_is_shifted_by_8_is_named(tmp_path):
    """The sums go 8 bytes too far: over the image, and then under the gradient."""
    at = StandIn().placement.places["layer.sums"].offset
    found = checked(tmp_path, step=(f"#define AT_SUMS {at}\n", f"#define AT_SUMS {at + 8}\n"))
    named = [line for line in found.wrong if "does not name" in line]
    assert named[0].startswith("operation 1 (layer forward) writes byte 0 of batch.images")
    assert found.compared.difference.tensor == "layer.weight"


def test_a_weight_at_another_address_than_the_table_says_is_a_difference(tmp_path):
    tiny = StandIn()
    edit = ("blockwise_ram0 + AT_WEIGHT, 16", "blockwise_ram0 + AT_WEIGHT + 8, 16")
    found = checked(tmp_path, tiny, trace=False, step=edit)
    assert found.compared.difference.tensor == "layer.weight"
    assert (found.compared.difference.step, found.compared.difference.element) == (0, 0)


DEEP = """uint8_t deep[9000];
    deep[0] = 1;
    __asm__ volatile("" ::"r"(deep) : "memory");
    uint32_t state = *RANDOM;"""


def test_a_stack_that_is_larger_than_the_reserve_is_stopped_and_named(tmp_path):
    found = checked(tmp_path, step=("uint32_t state = *RANDOM;", DEEP))
    (told,) = found.wrong
    assert told.startswith("stopped: write at 0x2004") and "that the plan leaves free" in told
    assert "operation 2 (layer backward (weight))" in told


@pytest.mark.skipif(not HAS_GCC, reason="no arm-none-eabi-gcc")
def test_a_stack_that_is_proven_too_large_is_not_even_linked(tmp_path):
    with pytest.raises(InputError, match="need more than the reserve of 8192 bytes"):
        checked(tmp_path, toolchain=GCC, step=("uint32_t state = *RANDOM;", DEEP))


def test_a_stack_that_fills_its_room_is_named(tmp_path):
    """Every word down to the statics is touched, none below: paint cannot tell whether there was more."""
    fill = """extern uint32_t blockwise_stack[];
    for (volatile uint32_t *word = blockwise_stack; word < blockwise_stack + 8; word++) *word = 0;
    uint32_t state = *RANDOM;"""
    found = checked(tmp_path, step=("uint32_t state = *RANDOM;", fill))
    assert found.wrong == (
        "the stack took 8192 bytes (bound: none) of the 8,192 that statics leave of the reserve",
    )


def test_a_wrong_rounding_is_named_with_its_tensor_step_and_element(tmp_path):
    """Without its random bits a gradient is rounded down: the first weight that this changes is told."""
    tiny = StandIn()
    found = checked(tmp_path, tiny, trace=False, step=("(int32_t)(state & 255u)", "(int32_t)(state & 127u)"))
    difference = found.compared.difference
    right = next(iter(tiny.steps(1)))[1][:16]
    assert difference.tensor == "layer.weight" and difference.step == 0
    assert difference.wanted == right[difference.element]
    assert found.wrong == (str(difference),)


def test_an_operation_that_is_left_out_is_named(tmp_path):
    found = checked(tmp_path, step=("    operation_2();\n", ""))
    assert "operation 2 did not run in the traced step" in found.wrong
    assert found.compared.difference.step == 0


def test_a_program_that_ends_early_is_not_equal(tmp_path):
    found = checked(tmp_path, trace=False, check=("blockwise_step();", "port_exit(3);"))
    assert found.wrong == ("the program ended with code 3", f"0 of {STEPS} steps were answered")


def test_no_steps_are_refused_in_one_line(tmp_path):
    tiny = StandIn()
    with pytest.raises(InputError, match="--check: got 0, wanted 1 step or more"):
        check(tiny.subject(tiny.write(tmp_path)), tiny, 0, ZIG, UNICORN)
