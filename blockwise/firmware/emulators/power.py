"""A board whose power comes and goes: RAM holds noise when it comes, flash what it held."""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from blockwise.firmware.arenas import MemoryMap
from blockwise.firmware.emulators.mapping import engine_of
from blockwise.firmware.emulators.nor_flash import PIECES, NorFlash
from blockwise.firmware.emulators.program import Program
from blockwise.firmware.emulators.run import Fault
from blockwise.firmware.emulators.semihosting import Host
from blockwise.firmware.emulators.unicorn_machine import BEFORE_STEPS, Machine, Watcher
from devices.boards.profile import Device

if TYPE_CHECKING:
    import unicorn

SAVE, RESTORE, STEP = "blockwise_save", "blockwise_restore", "blockwise_step"
ALWAYS = frozenset({BEFORE_STEPS})
"""A watcher that looks from power-on to the end."""


@dataclass(frozen=True)
class Powered:
    """From power-on to the end, or to the cut: ``exit_code`` is None behind one.

    ``within`` is what the cut was in: "erase" or "program" of flash, else "save", "restore", "step" or "".
    """

    exit_code: int | None
    fault: Fault | None
    within: str


@dataclass
class Meter:
    """Counts instructions one by one, as a power cut does; those whose condition does not hold are none.

    ``saves`` are those between which something is saved, ``writing`` those before which flash is erased or
    programmed.
    """

    program: Program
    flash: NorFlash
    total: int = 0
    saves: list[tuple[int, int]] = field(default_factory=list)
    writing: dict[str, list[int]] = field(default_factory=lambda: {kind: [] for kind in PIECES})

    def attach(self, engine: "unicorn.Uc") -> None:
        """Hook every instruction."""
        import unicorn

        self._begun: tuple[int, int] | None = None  # where the save returns to, and when it began
        self._entry = self.program.symbols[SAVE] & ~1
        engine.hook_add(unicorn.UC_HOOK_CODE, self._instruction)

    def detach(self, engine: "unicorn.Uc", step: int) -> None:
        """It looks on."""

    def _instruction(self, engine: "unicorn.Uc", address: int, size: int, data: object) -> None:
        from unicorn import arm_const

        if self._begun is not None:
            if address == self._begun[0]:
                self.saves.append((self._begun[1], self.total))
                self._begun = None
        elif address == self._entry:
            self._begun = engine.reg_read(arm_const.UC_ARM_REG_LR) & ~1, self.total
        if self.flash.running is not None:
            self.writing[self.flash.running.kind].append(self.total)
        self.total += 1


@dataclass
class Nobody:
    """Watches nothing."""

    def attach(self, engine: "unicorn.Uc") -> None:
        """Nothing."""

    def detach(self, engine: "unicorn.Uc", step: int) -> None:
        """Nothing."""


@dataclass
class Board:
    """Runs one program, whose files are in ``folder``; ``random`` is what RAM is full of."""

    program: Program
    device: Device
    memory: MemoryMap
    folder: Path
    flash: NorFlash
    random: Random

    def power(
        self, instructions: int = 0, watcher: Watcher | None = None, ram: bytes | None = None
    ) -> Powered:
        """From power-on until the program ends, or for so many instructions.

        RAM is full of the one byte ``ram``, or of noise.
        """
        engine = engine_of(self.device, self.memory, self.program)
        for span in (*self.memory.arrays, self.memory.reserve):
            size = span.size_bytes
            engine.mem_write(span.start, self.random.randbytes(size) if ram is None else ram * size)
        self.flash.appear(engine.mem_write)
        watched = ALWAYS if watcher else frozenset[int]()
        with Host(
            self.folder, lambda at, n: bytes(engine.mem_read(at, n)), engine.mem_write, self.flash
        ) as host:
            machine = Machine(engine, self.program, self.memory, host, watcher or Nobody(), watched)
            machine.run(instructions)
        within = _within(machine)
        return Powered(host.exit_code, machine.fault, self.flash.cut(self.random) or within)


def _within(machine: Machine) -> str:
    names = {SAVE: "save", RESTORE: "restore", STEP: "step"}
    return next((names[f.name] for f in machine.callers() if f.name in names), "")
