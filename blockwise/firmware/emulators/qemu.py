"""QEMU: whole boards of other makers with the same cores, as a second opinion.

What it proves: that a second emulator, and with it usually a second compiler, computes the same bits. What
it does not prove: the bounds of the board's memory, for its machines have more. A run of RAM that a machine
does not have at the board's address is moved to where it has some, as long there as what lies in it.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from blockwise.firmware.arenas import MemoryMap, RamArray, Span
from blockwise.firmware.cores import core_of
from blockwise.firmware.emulators.program import Program, check_reader, program_of
from blockwise.firmware.emulators.run import NOTHING, Fault, Run, Watch
from devices.boards.profile import KIB, Device
from devices.errors import InputError

PROGRAM = "qemu-system-arm"
STACK_FILE, FAULT_FILE = "stack.out", "fault.out"
"""What port_semihosting.c leaves behind."""
LOG_FILE = "qemu.log"
ALIGNMENT = 8
MIB = 1024 * KIB


@dataclass(frozen=True)
class Machine:
    """A board of QEMU's: where programs lie, and its RAM."""

    name: str
    flash: Span
    ram: tuple[Span, ...]


_SSRAM1 = Span("SSRAM1", 0, 4 * MIB)
_SSRAM23 = Span("SSRAM2+SSRAM3", 0x2000_0000, 4 * MIB)

# As `info mtree` of QEMU 7.2 shows them; the Netduino Plus 2 has an STM32F405 without its CCM.
MACHINES: dict[str, Machine] = {
    machine.name: machine
    for machine in (
        Machine("mps2-an385", _SSRAM1, (_SSRAM23,)),
        Machine("mps2-an386", _SSRAM1, (_SSRAM23,)),
        Machine("mps2-an500", _SSRAM1, (_SSRAM23,)),
        Machine("mps3-an547", Span("ITCM", 0, 512 * KIB), (Span("SRAM", 0x2100_0000, 4 * MIB),)),
        Machine("netduinoplus2", Span("FLASH", 0x0800_0000, MIB), (Span("SRAM", 0x2000_0000, 192 * KIB),)),
    )
}

CHIPS = {"stm32f405": "netduinoplus2"}
"""Boards whose chip a machine has."""


class Qemu:
    """Runs the M3, M4, M7 and M55."""

    name = "qemu"
    watches = False
    has_flash = False

    def require(self, device: Device) -> None:
        """Raise InputError without QEMU, or a machine that has the core."""
        machine_of(device)
        if shutil.which(PROGRAM) is None:
            raise InputError(
                "--emulator qemu", got=f"no {PROGRAM}", wanted="the emulator",
                do="install it: apt install qemu-system-arm, or choose --emulator unicorn",
            )  # fmt: skip
        check_reader()

    def memory(self, device: Device, memory: MemoryMap) -> MemoryMap:
        """Of the machine. Raises InputError without QEMU, or a machine that has the core or the room."""
        self.require(device)
        return on_machine(machine_of(device), memory)

    def run(self, elf: Path, device: Device, memory: MemoryMap, folder: Path, watch: Watch = NOTHING) -> Run:
        """As :class:`~blockwise.firmware.emulators.emulator.Emulator` says; ``watch`` is not looked at."""
        started = time.perf_counter()
        for name in (STACK_FILE, FAULT_FILE, LOG_FILE):
            (folder / name).unlink(missing_ok=True)
        done = subprocess.run(
            command(machine_of(device), elf), cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
            check=False,
        )  # fmt: skip
        seconds = time.perf_counter() - started
        stack = _word(folder / STACK_FILE)
        if stack is not None:
            return Run(done.returncode, seconds, None, stack)
        return Run(None, seconds, _fault(program_of(elf), folder, done.stderr.decode(errors="replace")))

    def proves(self, device: Device, memory: MemoryMap) -> str:
        """What its memory leaves open."""
        machine = machine_of(device)
        has = sum(ram.size_bytes for ram in machine.ram) // KIB
        return (
            f"{machine.name} has {has:,} KiB of RAM where {device.name} has {device.ram_bytes // KIB:,}:"
            " equal bits prove the arithmetic, not the bounds"
        )


def command(machine: Machine, elf: Path) -> tuple[str, ...]:
    """What runs a program: semihosting serves the files of the folder that it is called in."""
    return (
        PROGRAM, "-M", machine.name, "-nographic", "-monitor", "none", "-serial", "none",
        "-semihosting-config", "enable=on,target=native", "-d", "int,guest_errors", "-D", LOG_FILE,
        "-kernel", str(elf.resolve()),
    )  # fmt: skip


def machine_of(device: Device) -> Machine:
    """The machine with the board's chip, or with its core. Raises InputError if there is none."""
    core = core_of(device)
    name = CHIPS.get(device.name, core.qemu)
    if not name:
        raise InputError(
            "--emulator qemu", got=f"a {core.name}", wanted="a core that one of its machines has",
            do="choose --emulator unicorn",
        )  # fmt: skip
    return MACHINES[name]


def on_machine(machine: Machine, memory: MemoryMap) -> MemoryMap:
    """The same map on a machine: what has RAM at its address stays there, the rest is moved.

    Raises InputError if the machine has too little.
    """
    stay = [run for run in memory.runs if any(_holds(ram, run) for ram in machine.ram)]
    free = [piece for ram in machine.ram for piece in _without(ram, stay)]
    moved = {run: _moved(machine, memory, run, free) for run in memory.runs if run not in stay}
    runs = tuple(moved.get(run, run) for run in memory.runs)
    reserve, holder = memory.reserve, next(run for run in memory.runs if _holds(run, memory.reserve))
    if holder in moved:
        reserve = replace(reserve, start=moved[holder].end - reserve.size_bytes)
    return MemoryMap(machine.flash, runs, reserve, tuple(_array(array, moved) for array in memory.arrays))


def _holds(outer: Span, inner: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def _without(ram: Span, taken: Iterable[Span]) -> Iterable[Span]:
    """What lies between and behind the spans that are taken."""
    start = ram.start
    for span in sorted((span for span in taken if _holds(ram, span)), key=lambda span: span.start):
        yield Span(ram.name, start, span.start - start)
        start = span.end
    yield Span(ram.name, start, ram.end - start)


def _moved(machine: Machine, memory: MemoryMap, run: Span, free: list[Span]) -> Span:
    """The run where the machine has room; what is taken is taken off ``free``."""
    size = sum(-(-array.size_bytes // ALIGNMENT) * ALIGNMENT for array in memory.arrays if array.run == run)
    size += memory.reserve.size_bytes if _holds(run, memory.reserve) else 0
    for index, piece in enumerate(free):
        if piece.size_bytes >= size:
            free[index] = Span(piece.name, piece.start + size, piece.size_bytes - size)
            return Span(run.name, piece.start, size)
    raise InputError(
        "--emulator qemu", got=f"{size:,} bytes of {run.name}", wanted=f"what {machine.name} has room for",
        do="choose --emulator unicorn",
    )  # fmt: skip


def _array(array: RamArray, moved: dict[Span, Span]) -> RamArray:
    run = moved.get(array.run)
    return array if run is None else replace(array, start=run.start, run=run)


def _word(path: Path) -> int | None:
    return int.from_bytes(path.read_bytes(), "little") if path.exists() else None


_EXCEPTION = re.compile(r"Taking exception \d+ \[(?!Semihosting)([^\]]+)\].*\n((?:\.\.\..*\n)*)")
_ADDRESS = re.compile(r"fault address 0x([0-9a-f]+)")


def _fault(program: Program, folder: Path, said: str) -> Fault:
    """The first exception that is no call of the host, as QEMU logged it; start.c left its instruction."""
    log, pc = folder / LOG_FILE, _word(folder / FAULT_FILE) or 0
    found = _EXCEPTION.search(log.read_text("utf-8", "replace") if log.exists() else "")
    address = _ADDRESS.search(found[2]) if found else None
    what = found[1] if found else next(iter(said.strip().splitlines()), "the end")
    function = program.function_at(pc)
    return Fault(
        what, int(address[1], 16) if address else None, pc, function.operation if function else None,
        function.name if function else "no function",
    )  # fmt: skip


QEMU = Qemu()
