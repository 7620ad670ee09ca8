"""Running a program under a board's memory map, and counting what it does: one emulator per file."""

from blockwise.firmware.emulators.emulator import Emulator
from blockwise.firmware.emulators.qemu import QEMU
from blockwise.firmware.emulators.run import Accesses, Fault, Instructions, Run, Watch
from blockwise.firmware.emulators.unicorn_machine import UNICORN

EMULATORS: dict[str, Emulator] = {emulator.name: emulator for emulator in (UNICORN, QEMU)}

__all__ = ["EMULATORS", "QEMU", "UNICORN", "Accesses", "Emulator", "Fault", "Instructions", "Run", "Watch"]
