"""What a check of a small project found, by hand."""

from hand_made import SCENARIOS

from blockwise.firmware.check.checked import Checked, Flash, OperationCost, Reserve, RunOfRam, StepCost
from blockwise.firmware.check.compare import Compared
from blockwise.firmware.result import FirmwareResult, PlannedRun

COUNTS = [900, 50, 7000, 300, 20, 10, 80, 400, 60, 1, 2, 3]
COST = StepCost(
    tuple(OperationCost(i, f"layer{i} forward", n, 100 * (i % 2)) for i, n in enumerate(COUNTS)),
    between=17, clock_mhz=100, cycles_per_instruction=2.0, rests_on="2.00 cycles per instruction",
)  # fmt: skip
CHECKED = Checked(
    board="board", toolchain="zig", emulator="unicorn", proves="all", steps=20,
    compared=Compared(20, None, missing=False), exit_code=0, fault=None, fault_name="", strayed=None,
    ram=(RunOfRam("SRAM", 0x2000_0000, 4096, 0x2000_0000, 4096),), reserve=Reserve(8192, 24, 300, None),
    flash=Flash(65536, 12345), cost=COST, trace=None, seconds=1.0,
)  # fmt: skip


def firmware_result() -> FirmwareResult:
    """All is as planned, and the instructions were counted."""
    base = SCENARIOS["four"]()
    return FirmwareResult(
        base.device, base.model, base.data, "niti", 1, 0, "", 1, len(COUNTS), 600, 4000,
        (PlannedRun("SRAM", 0x2000_0000, 4096, 65536),), 12000, 65536, True, ("step.c",), {}, {"torch": "2"},
        "2026-01-01T00:00:00+00:00", 1.5, "the simulation", CHECKED,
    )  # fmt: skip
