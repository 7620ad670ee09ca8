"""Firmware on boards: bytes planned and measured, stack, flash, instructions, and how many steps are equal.

    python benchmarks/firmware.py [--steps N] [--only BOARD ...] [--estimates] [--record]

Each combination of regime, network and board is written as C, built by zig and run in unicorn under the
board's memory; where arm-none-eabi-gcc and qemu-system-arm are found, built by that and run in both as well.
After every step all that outlives it is compared. Everything is kept in firmware.json. With ``--estimates``
only the flash that is foreseen is written anew, where all else that is planned is as it was measured.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import output

from blockwise.experiment.keywords import config_of
from blockwise.experiment.prepare import prepare
from blockwise.experiment.provenance import environment
from blockwise.firmware.check.checked import Checked
from blockwise.firmware.cores import core_of
from blockwise.firmware.emulators import QEMU, UNICORN, Emulator
from blockwise.firmware.emulators.qemu import PROGRAM, machine_of
from blockwise.firmware.toolchains import GCC, ZIG, Toolchain
from blockwise.firmware.toolchains.gcc import COMPILER
from blockwise.firmware.written import Written, write
from devices.boards.profile import Device, load
from devices.errors import InputError
from devices.program.regimes import find

STEPS, LARGE_STEPS, FLOAT_STEPS = 200, 25, 24
"""Compared of integer regimes on small and on large images, and of float regimes."""


LARGE = {"image_size": 32}


@dataclass(frozen=True)
class Case:
    """One combination; ``settings`` are flags by name."""

    regime: str
    board: str
    model: str
    width: int
    batch: int = 1
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """That are compared."""
        if not find(self.regime).is_integer:
            return FLOAT_STEPS
        return LARGE_STEPS if LARGE.items() <= self.settings.items() else STEPS


CASES = (
    Case("niti", "rp2040", "plain4", 8),
    Case("niti4-jump-local", "stm32f103", "plain4", 4),
    Case("niti-local", "stm32f405", "plain4", 14),
    Case("niti4-local", "stm32f405", "plain6", 8, 4, LARGE),
    Case("niti", "nrf52840", "plain4", 16, 1, LARGE | {"requantize": "auto"}),
    Case("niti4", "nrf52840", "plain4", 16),
    Case("niti-local", "stm32", "plain4", 8),
    Case("niti4-jump", "nrf5340", "plain4", 16, 4),
    Case("nitro-local", "stm32u575", "plain4", 8),
    Case("niti4-local", "stm32n657", "plain4", 8, 4),
    Case("bp-fused", "stm32f405", "cnn", 8, 4, {"method": "fp32"}),
    Case("local", "stm32f405", "resnet20", 4, 2),
    Case("bp-fused", "nrf5340", "plain4", 8, 2, {"norm": "group", "optimizer": "sgd"}),
    Case("local-resident", "rp2040", "plain4", 4, 2),
    Case("local-resident", "stm32", "resnet20", 8, 16),
)


def pairs(device: Device) -> Iterator[tuple[Toolchain, Emulator]]:
    """The compilers and emulators that this computer has for a board."""
    core = core_of(device)
    gcc = shutil.which(COMPILER) is not None
    if core.unicorn:
        yield ZIG, UNICORN
        if gcc:
            yield GCC, UNICORN
    try:
        machine_of(device)
    except InputError:
        return
    if shutil.which(PROGRAM) is not None and gcc:
        yield GCC, QEMU


def program_of(case: Case, folder: Path) -> tuple[Written, dict[str, Any]]:
    """The program of a case, and what is known of it before it runs."""
    asked = {
        "device": case.board, "model": case.model, "width": case.width, "regimes": (case.regime,),
        "batch_size": case.batch, "accelerator": "cpu", **case.settings,
    }  # fmt: skip
    prepared = prepare(config_of(asked))
    made = write(prepared, case.regime, folder)
    result = made.result
    return made, {
        **asdict(case), "title": result.device.title, "core": result.device.core,
        "in_shape": result.model.in_shape, "method": prepared.config.scheme.name, "head": result.model.head,
        "peak_bytes": result.peak_bytes, "planned": {run.name: run.bytes for run in result.ram},
        "flash_estimate": result.flash_estimate, "flash_room": result.flash_room,
        "operations": result.operations, "phases": result.phases, "reference": result.reference,
        "macs": result.macs_per_step,
    }  # fmt: skip


def measured(case: Case, steps: int | None) -> dict[str, Any]:
    """All checks of one case."""
    with tempfile.TemporaryDirectory() as name:
        made, known = program_of(case, Path(name) / "project")
        checks = [_check(made, steps or case.steps, *pair) for pair in pairs(load(case.board))]
    return known | {"checks": checks}


def estimated(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the record with the flash that is foreseen today.

    Raises SystemExit where the program is another one than was measured.
    """
    case = Case(**{name: row[name] for name in asdict(CASES[0])})
    with tempfile.TemporaryDirectory() as name:
        _, known = program_of(case, Path(name) / "project")
    found: dict[str, Any] = row | json.loads(json.dumps(known))
    changed = sorted(name for name in known if found[name] != row[name])
    if set(changed) - {"flash_estimate"}:
        raise SystemExit(f"{case.regime} on {case.board}: other {', '.join(changed)}; measure it again")
    print(f"{case.regime:16} {case.board:12} {row['flash_estimate']:,} -> {found['flash_estimate']:,}")
    return found


def _check(written: Written, steps: int, toolchain: Toolchain, emulator: Emulator) -> dict[str, Any]:
    checked = written.checked(steps, toolchain, emulator).checked
    assert checked is not None
    cost = checked.cost
    found = {
        "toolchain": toolchain.name, "emulator": emulator.name, "equal": checked.equal,
        "wrong": list(checked.wrong), "steps": checked.compared.steps,
        "measured": {run.name: run.bytes for run in checked.ram}, "statics": checked.reserve.statics,
        "stack": checked.reserve.stack, "stack_bound": checked.reserve.stack_bound,
        "reserve": checked.reserve.bytes, "flash": checked.flash.used, "proves": checked.proves,
        "instructions": cost.instructions if cost else None, "step_seconds": cost.seconds if cost else None,
    }  # fmt: skip
    print(_line(written, checked), flush=True)
    return found


def _line(written: Written, checked: Checked) -> str:
    result, cost = written.result, checked.cost
    ram = " + ".join(f"{run.bytes:,}" for run in checked.ram)
    instructions = f"{cost.instructions:,} instructions" if cost else "not counted"
    verdict = "equal" if checked.equal else f"NOT equal: {checked.wrong[0]}"
    tools = f"{checked.toolchain}, {checked.emulator}"
    return (
        f"{result.regime:16} {result.model.name:9} {result.device.name:16} {tools:13} {ram:>16} bytes, "
        f"stack {checked.reserve.stack}, flash {checked.flash.used:,}, {instructions}, "
        f"{checked.compared.steps} steps {verdict}, {checked.seconds:.0f} s"
    )


def main() -> int:
    """Check every case, print a line for each check, and keep it."""
    parser = output.parser(__doc__)
    parser.add_argument("--steps", type=int, help=f"of each case (default: {STEPS}, less of large ones)")
    parser.add_argument("--only", nargs="+", metavar="BOARD", help="cases of these boards alone")
    parser.add_argument("--estimates", action="store_true", help="measure nothing, foresee the flash anew")
    arguments = parser.parse_args()
    if arguments.estimates:
        record = output.kept("firmware", record=True)
        rows = [estimated(row) for row in record["rows"]]
    else:
        record = {"environment": environment("cpu")}
        cases = [case for case in CASES if not arguments.only or case.board in arguments.only]
        rows = [measured(case, arguments.steps) for case in cases]
    output.keep("firmware", record | {"rows": rows}, record=arguments.record)
    return 0 if all(check["equal"] for row in rows for check in row["checks"]) else 1


if __name__ == "__main__":
    raise SystemExit(main())
