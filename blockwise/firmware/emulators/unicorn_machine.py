"""Unicorn: the core alone, under exactly the board's RAM and flash.

What the profile does not have is not mapped, nor are pages of its RAM that hold neither tensors nor the
reserve; flash is not writable and RAM is not executable: an access outside stops at its instruction. The
system's own registers (0xE000E000) are plain memory. Unicorn is imported where it is used: it is an extra.
"""

import importlib.util
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from blockwise.firmware.arenas import MemoryMap
from blockwise.firmware.cores import core_of
from blockwise.firmware.emulators.mapping import PAINT_BYTE, WORD, engine_of, slack
from blockwise.firmware.emulators.nor_flash import flash_of
from blockwise.firmware.emulators.program import Function, Program, check_reader, program_of
from blockwise.firmware.emulators.recorder import Recorder
from blockwise.firmware.emulators.run import NOTHING, Fault, Run, Watch
from blockwise.firmware.emulators.semihosting import Host
from blockwise.firmware.emulators.stack import painted_bytes
from blockwise.system.interrupts import held_back
from devices.boards.profile import Device
from devices.errors import InputError

if TYPE_CHECKING:
    import unicorn

BREAKPOINT = 7  # the exception that bkpt raises
BEFORE_STEPS = -1


class Unicorn:
    """Runs every core but the M55."""

    name = "unicorn"
    watches = True
    has_flash = True

    def require(self, device: Device) -> None:
        """Raise InputError without unicorn, or a model of the core."""
        core = core_of(device)
        if not core.unicorn:
            raise InputError(
                "--emulator unicorn", got=f"a {core.name}", wanted="a core that it runs",
                do="choose --toolchain gcc --emulator qemu, or another board",
            )  # fmt: skip
        if importlib.util.find_spec("unicorn") is None:
            raise InputError(
                "--emulator unicorn", got="no unicorn", wanted="the emulator",
                do="install it: uv sync --extra firmware, or pip install unicorn",
            )  # fmt: skip
        check_reader()

    def memory(self, device: Device, memory: MemoryMap) -> MemoryMap:
        """The board's own."""
        self.require(device)
        return memory

    def run(self, elf: Path, device: Device, memory: MemoryMap, folder: Path, watch: Watch = NOTHING) -> Run:
        """As :class:`~blockwise.firmware.emulators.emulator.Emulator` says."""
        self.require(device)
        started = time.perf_counter()
        program = program_of(elf)
        recorder = Recorder(program, accesses=watch.accesses)
        machine, host = _attempt(program, device, memory, folder, watch.steps, recorder)
        fault = machine.fault
        if fault is not None and fault.what == "write":
            fault = _located(program, device, memory, folder, machine)
        seconds = time.perf_counter() - started
        return Run(
            host.exit_code, seconds, fault, machine.stack_bytes(), machine.strayed(), recorder.instructions,
            recorder.accesses,
        )  # fmt: skip

    def proves(self, device: Device, memory: MemoryMap) -> str:
        """All of it."""
        return f"exactly the RAM and flash of {device.name}: an access outside would have stopped it"


class Watcher(Protocol):
    """Hooks that some steps run with."""

    def attach(self, engine: "unicorn.Uc") -> None:
        """Before the step's first instruction."""

    def detach(self, engine: "unicorn.Uc", step: int) -> None:
        """Behind its last one."""


@dataclass
class _ExactCounter:
    """Keeps the program counter exact in a stretch of code: before each instruction it is looked at."""

    start: int
    end: int

    def attach(self, engine: "unicorn.Uc") -> None:
        import unicorn

        self._hook = engine.hook_add(unicorn.UC_HOOK_CODE, _nothing, begin=self.start, end=self.end)

    def detach(self, engine: "unicorn.Uc", step: int) -> None:
        engine.hook_del(self._hook)


def _nothing(engine: "unicorn.Uc", address: int, size: int, data: object) -> None:
    """A hook that only has to be there."""


def _attempt(
    program: Program,
    device: Device,
    memory: MemoryMap,
    folder: Path,
    steps: frozenset[int],
    watcher: Watcher,
) -> tuple["Machine", Host]:
    """From power-on to the end, ``steps`` with the watcher's hooks; -1 is what comes before the first."""
    engine = engine_of(device, memory, program)
    flash = flash_of(device, memory)
    with Host(folder, lambda at, n: bytes(engine.mem_read(at, n)), engine.mem_write, flash) as host:
        machine = Machine(engine, program, memory, host, watcher, steps)
        machine.run()
    return machine, host


def _located(
    program: Program, device: Device, memory: MemoryMap, folder: Path, machine: "Machine"
) -> Fault | None:
    """The fault of a store again, with its instruction: unicorn tells only where its block begins."""
    fault = machine.fault
    assert fault is not None
    function = program.function_at(fault.pc)
    if function is None:
        return fault
    exact = _ExactCounter(fault.pc, function.end)
    return _attempt(program, device, memory, folder, frozenset({machine.steps - 1}), exact)[0].fault


@dataclass
class Machine:
    """A run, stopped where the step begins that is to be watched, and where that ends."""

    engine: "unicorn.Uc"
    program: Program
    memory: MemoryMap
    host: Host
    watcher: Watcher
    watched: frozenset[int]
    steps: int = 0  # that have begun
    touched: tuple[str, int] | None = None  # what was done at which address when memory said no
    fault: Fault | None = None
    at_step: bool = False

    def run(self, count: int = 0) -> None:
        """To the end of the program, to its first fault, or for so many instructions."""
        import unicorn

        self.engine.hook_add(unicorn.UC_HOOK_INTR, self._interrupted)
        self.engine.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._refused)
        if step := self.program.step:
            self.engine.hook_add(unicorn.UC_HOOK_BLOCK, self._entered, begin=step.start, end=step.start)
        if BEFORE_STEPS in self.watched:
            self.watcher.attach(self.engine)
        try:
            self._start(0, count)
            while self.at_step:
                self._watched_step()
                self._start(0)
        except unicorn.UcError as error:
            self.fault = self._fault(str(error))
        else:
            self.fault = self._fault(self.touched[0]) if self.touched else None

    def stack_bytes(self) -> int | None:
        """The most that the stack held, by paint; None where the program did not end."""
        if self.host.exit_code is None:
            return None
        low, high = self.program.symbols["blockwise_stack"], self.program.symbols["blockwise_stack_end"]
        return painted_bytes(bytes(self.engine.mem_read(low, high - low)))

    def strayed(self) -> int | None:
        """The first address that was written beside arrays and reserve, in the pages that they share."""
        import unicorn

        for start, end in slack(self.memory, self.engine.query(unicorn.UC_QUERY_PAGE_SIZE)):
            content = bytes(self.engine.mem_read(start, end - start))
            if rest := content.lstrip(PAINT_BYTE):
                return end - len(rest)
        return None

    def _start(self, until: int, count: int = 0) -> None:
        from unicorn import arm_const

        with held_back(self.engine.emu_stop):
            self.engine.emu_start(self.engine.reg_read(arm_const.UC_ARM_REG_PC) | 1, until, count=count)

    def _watched_step(self) -> None:
        """From the step's first instruction to where it returns to, with the recorder's hooks."""
        from unicorn import arm_const

        self.watcher.attach(self.engine)
        self.engine.ctl_flush_tb()  # code that was translated before knows nothing of hooks
        self._start(self.engine.reg_read(arm_const.UC_ARM_REG_LR) & ~1)
        self.watcher.detach(self.engine, self.steps - 1)
        self.engine.ctl_flush_tb()
        self.at_step = False

    def _entered(self, engine: "unicorn.Uc", address: int, size: int, data: object) -> None:
        if self.at_step:  # the stop is over, and the same block begins again
            return
        self.at_step = self.steps in self.watched
        self.steps += 1
        if self.at_step:
            engine.emu_stop()

    def _interrupted(self, engine: "unicorn.Uc", number: int, data: object) -> None:
        """A breakpoint asks the host for something; whatever else interrupts is a fault."""
        from unicorn import arm_const

        pc = engine.reg_read(arm_const.UC_ARM_REG_PC)
        if number != BREAKPOINT:
            self.touched = (f"exception {number}", pc)
            engine.emu_stop()
            return
        asked = engine.reg_read(arm_const.UC_ARM_REG_R0), engine.reg_read(arm_const.UC_ARM_REG_R1)
        engine.reg_write(arm_const.UC_ARM_REG_R0, self.host.call(*asked))
        engine.reg_write(arm_const.UC_ARM_REG_PC, pc + 2 | 1)
        if self.host.exit_code is not None:
            engine.emu_stop()

    def _refused(
        self, engine: "unicorn.Uc", access: int, address: int, size: int, value: int, data: object
    ) -> bool:
        import unicorn

        reads = (unicorn.UC_MEM_READ_UNMAPPED, unicorn.UC_MEM_READ_PROT)
        writes = (unicorn.UC_MEM_WRITE_UNMAPPED, unicorn.UC_MEM_WRITE_PROT)
        what = "read" if access in reads else "write" if access in writes else "fetch"
        self.touched = (what, address)
        return False

    def _fault(self, said: str) -> Fault:
        from unicorn import arm_const

        pc = self.engine.reg_read(arm_const.UC_ARM_REG_PC) & ~1
        what, address = self.touched or (said, None)
        function = self.program.function_at(pc)
        name = function.name if function else "no function"
        region = "" if address is None else self._region(address)
        return Fault(what, address, pc, self._operation(), name, region)

    def _region(self, address: int) -> str:
        if self.memory.flash.start <= address < self.memory.flash.end:
            return "in flash"
        run = next((run for run in self.memory.runs if run.start <= address < run.end), None)
        if run is None:
            return "outside of the board's memory"
        if any(span.start <= address < span.end for span in (*self.memory.arrays, self.memory.reserve)):
            return f"in {run.name}"
        return f"in RAM of {run.name} that the plan leaves free"

    def _operation(self) -> int | None:
        """The operation that runs: by the instruction, or by who called, as the stack tells."""
        running = (function.operation for function in self.callers())
        return next((operation for operation in running if operation is not None), None)

    def callers(self) -> Iterator[Function]:
        """The function that runs, and those that called it or left an address on the stack."""
        from unicorn import arm_const

        pc = self.engine.reg_read(arm_const.UC_ARM_REG_PC)
        sp, end = self.engine.reg_read(arm_const.UC_ARM_REG_SP), self.program.symbols["blockwise_stack_end"]
        callers = [pc, self.engine.reg_read(arm_const.UC_ARM_REG_LR)]
        if self.program.symbols["blockwise_stack"] <= sp < end:
            stack = bytes(self.engine.mem_read(sp, end - sp))
            callers += [int.from_bytes(stack[i : i + WORD], "little") for i in range(0, len(stack), WORD)]
        for address in callers:
            function = self.program.function_at(address & ~1)
            if function is not None:
                yield function


UNICORN = Unicorn()
