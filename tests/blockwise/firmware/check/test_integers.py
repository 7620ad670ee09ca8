"""Integer firmware on emulated boards: RAM, live bytes and every bit of the state are those of the plan."""

import numpy as np
import pytest
from firmware_boards import firmware_on
from tiers import shown
from tools import needs_qemu

from blockwise.firmware import project
from blockwise.firmware.check.checking import check
from blockwise.firmware.check.subject import subject_of
from blockwise.firmware.emit.project import files
from blockwise.firmware.emulators import QEMU, UNICORN
from blockwise.firmware.toolchains import GCC, ZIG

slow = pytest.mark.slow


def checked(tmp_path, *case, toolchain=ZIG, emulator=UNICORN, steps=3, **edits):
    firmware, training = firmware_on(*case)
    project(firmware, tmp_path / "project")
    for name, (old, new) in edits.items():
        path = tmp_path / "project" / f"{name}.c"
        text = path.read_text("utf-8")
        assert text.count(old) >= 1
        path.write_text(text.replace(old, new, 1), "utf-8")
    subject = subject_of(firmware, tmp_path / "project")
    return check(subject, training, steps, toolchain, emulator, trace=emulator is UNICORN)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "regime", "width", "batch", "requantize"),
    [
        ("stm32f405", "niti-local", 4, 1, "buffered"),
        pytest.param("stm32f405", "niti4-jump-local", 14, 1, "buffered", marks=slow),  # in two runs of RAM
        pytest.param("stm32f103", "niti4", 4, 2, "twice", marks=slow),
        pytest.param("rp2040", "niti", 4, 1, "buffered", marks=pytest.mark.long),
        pytest.param("nrf5340", "nitro-local", 4, 1, "buffered", marks=slow),
        pytest.param("stm32", "niti4-jump", 4, 4, "buffered", marks=pytest.mark.long),
    ],
)
def test_a_board_holds_and_learns_what_was_planned_and_simulated(
    board, regime, width, batch, requantize, tmp_path
):
    found = checked(tmp_path, board, regime, "plain4", width, batch, requantize)
    assert found.wrong == ()
    assert found.compared.steps == 3
    assert found.reserve.statics + found.reserve.stack < 1024
    assert len(found.trace.live) == len(found.cost.operations)


@slow
@pytest.mark.parametrize("regime", shown(["niti", "niti4-jump-resident"], "niti"))
def test_live_bytes_of_few_classes_one_image_at_a_time_are_those_of_the_plan(regime, tmp_path):
    """Fewer codes than a sum has bytes hold no sum that waits."""
    two = tmp_path / "two.npz"
    draws = np.random.default_rng(1)
    np.savez(two, x_train=draws.integers(0, 256, (40, 1, 8, 8), np.uint8), y_train=np.arange(40) % 2)
    found = checked(tmp_path, "stm32f405", regime, "plain4", 4, 1, "buffered", str(two))
    assert found.wrong == () and found.trace.equal


@needs_qemu
@slow
@pytest.mark.parametrize("board", shown(["stm32f405", "stm32n657"], "stm32n657"))
def test_a_second_pair_of_tools_learns_the_same(board, tmp_path):
    found = checked(
        tmp_path, board, "niti-local", "plain4", 4, 1, "buffered", toolchain=GCC, emulator=QEMU, steps=20
    )
    assert found.wrong == () and found.reserve.stack <= found.reserve.stack_bound


DEEP = 'uint8_t deep[9000]; deep[0] = 1; __asm__ volatile("" ::"r"(deep) : "memory");'


@slow
@pytest.mark.parametrize("fault", shown(["past", "shifted", "deep", "rounded"], "past", "rounded"))
def test_planted_faults_are_found_and_named(fault, tmp_path):
    """In the operation that makes the sums of the second layer, or in what makes codes of them."""
    firmware, _ = firmware_on("stm32f405", "niti-local")
    names = [operation.name for operation in firmware.schedule.operations]
    number = names.index("conv2.conv forward")
    sums = next(name for role, name in firmware.schedule.operations[number].results if role == "output")
    place = f"blockwise_ram{firmware.spots[sums].stretch} + {firmware.spots[sums].offset}"
    head = f"operation_{number}(void) {{"
    text = files(firmware)["step.c"]
    start = text.index(head)
    body = text[start : text.index("}\n\n", start)]
    rounding = "shift_for(largest, 7)"
    behind = f"({place} + {firmware.schedule.tensors[sums].bytes})"
    edits = {
        "past": (head, f"{head} *{behind} = 1;"),
        "shifted": (body, body.replace(place, f"{place} + 8")),
        "deep": (head, f"{head} {DEEP}"),
        "rounded": (rounding, f"{rounding} + 1"),
    }
    assert edits[fault][0] != edits[fault][1]
    found = checked(tmp_path, "stm32f405", "niti-local", step=edits[fault])
    named = f"operation {number} (conv2.conv forward)"
    told = {
        "past": f"{named} writes 1 byte(s) behind {sums} (",
        "shifted": f"{named} writes",
        "deep": "stopped: write at 0x1000",
        "rounded": "after step 0",
    }
    assert any(told[fault] in line for line in found.wrong), found.wrong
    if fault == "deep":
        assert found.fault.operation == number and found.fault_name == "conv2.conv forward"
