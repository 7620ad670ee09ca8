"""What an emulator is: it runs the harness of a check where check.in lies and check.out is to be."""

from pathlib import Path
from typing import Protocol

from blockwise.firmware.arenas import MemoryMap
from blockwise.firmware.emulators.run import NOTHING, Run, Watch
from devices.boards.profile import Device


class Emulator(Protocol):
    """Runs programs for some cores."""

    @property
    def name(self) -> str:
        """As the command line calls it."""

    @property
    def watches(self) -> bool:
        """Whether it counts instructions, and shows loads and stores."""

    @property
    def has_flash(self) -> bool:
        """Whether programs can write the slots that keep a training."""

    def require(self, device: Device) -> None:
        """Raise InputError if the emulator is missing or has no such core."""

    def memory(self, device: Device, memory: MemoryMap) -> MemoryMap:
        """What programs are linked for: the board's own memory, or as much of it as the machine has there.

        Raises InputError if the emulator is missing or has no such core.
        """

    def run(self, elf: Path, device: Device, memory: MemoryMap, folder: Path, watch: Watch = NOTHING) -> Run:
        """Run the program to its end or to its first fault; files are opened in ``folder``."""

    def proves(self, device: Device, memory: MemoryMap) -> str:
        """What a run under this memory tells, and what it does not, in one line."""
