"""A long training in which a board is switched off again and again: its bits beside the simulation's.

    python benchmarks/long_run.py [--record] [--steps N] [--restart N]

plain4 at width 16 is trained on the digits, one image at a time, by the emulated firmware and by the
simulation. The firmware saves its state in flash; at every so many steps power goes, RAM is filled with
noise, and the program starts, restores and goes on. Every byte of the state is compared after every step.
"""

import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import output
from saving import saving

from blockwise.firmware.check import records
from blockwise.firmware.check.compare import compared
from blockwise.firmware.check.reference import Exchange
from blockwise.firmware.check.subject import Subject
from blockwise.firmware.emulators.nor_flash import flash_of
from blockwise.firmware.emulators.power import Board
from blockwise.firmware.emulators.program import program_of
from devices.program.schedule import Tensor

BOARD, REGIME, EVERY = "stm32f746", "niti-local", 100
SEED = 1


def board_of(subject: Subject, elf: Path) -> Board:
    """With an erased flash."""
    flash = flash_of(subject.device, subject.memory)
    assert flash is not None  # it saves
    return Board(program_of(elf), subject.device, subject.memory, elf.parent, flash, Random(SEED))


def trained(board: Board, told: list[Exchange], tensors: Sequence[Tensor], start: int, end: int) -> int:
    """From power-on behind ``start`` steps to ``end``, and off; returns how many steps were compared.

    Raises SystemExit at the first difference.
    """
    folder = board.folder
    (folder / records.INPUT).write_bytes(b"".join(exchange.sent for exchange in told[: end + 1]))
    (folder / records.RESTORED).unlink(missing_ok=True)
    powered = board.power()
    if powered.exit_code or powered.fault or board.flash.refused:
        raise SystemExit(f"behind step {start}: {powered}, {board.flash.refused}")
    restored = folder / records.RESTORED
    behind = int.from_bytes(restored.read_bytes(), "little") if restored.exists() else 0
    if behind != start:
        raise SystemExit(f"restored step {behind} instead of {start}")
    found = compared(tensors, told[start : end + 1], (folder / records.OUTPUT).read_bytes())
    if found.difference or found.missing:
        raise SystemExit(f"behind step {start}: {found}")
    return end - start


def row(steps: int, restart: int) -> dict[str, Any]:
    """The whole training, counted and printed."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as name:
        subject, reference, elf = saving(Path(name), REGIME, EVERY, device=BOARD, model="plain4")
        told = [exchange for exchange in reference.exchanges(steps) if not exchange.tensors]
        board, done = board_of(subject, elf), 0
        for start in range(0, steps, restart):
            done += trained(board, told, reference.tensors, start, min(steps, start + restart))
            print(f"{done} steps equal", flush=True)
    erases = sum(kind == "erase" for kind, _ in board.flash.begun)
    state = b"".join(told[-1].state or ())
    return {
        "board": BOARD, "regime": REGIME, "model": "plain4", "save_every": EVERY, "restart_every": restart,
        "steps": done, "power_ons": len(range(0, steps, restart)), "erases": erases,
        "state_bytes": len(state), "checksum": f"{zlib.crc32(state):08x}",
        "cpu_seconds": round(time.process_time() - began),
    }  # fmt: skip


def main() -> None:
    """Train, print and write."""
    parser = output.parser(__doc__)
    parser.add_argument("--steps", type=int, default=10_000, help="updates (default: %(default)s)")
    parser.add_argument(
        "--restart", type=int, default=1000, help="steps between restarts (default: %(default)s)"
    )
    arguments = parser.parse_args()
    found = row(arguments.steps, arguments.restart)
    output.keep("long_run", found, record=arguments.record)


if __name__ == "__main__":
    main()
