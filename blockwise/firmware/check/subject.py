"""What is checked: a step that was planned for a board, each tensor at its address, and its project."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from blockwise.firmware.arenas import MemoryMap
from blockwise.firmware.memory import memory_of
from blockwise.firmware.program import Firmware
from devices.boards.profile import Device
from devices.errors import InputError
from devices.program.schedule import Schedule


@dataclass(frozen=True)
class Subject:
    """``addresses`` are those of the schedule's tensors, in the board's memory; ``project`` is a folder."""

    device: Device
    schedule: Schedule
    memory: MemoryMap
    addresses: Mapping[str, int]
    project: Path


def subject_of(firmware: Firmware, project: Path) -> Subject:
    """Firmware whose project was written to this folder. Raises InputError for one without a board."""
    if firmware.device is None:
        raise InputError("firmware", got="no board", wanted="one to check it on", do="name a board")
    memory = memory_of(firmware)
    addresses = {
        name: memory.arrays[spot.stretch].start + spot.offset for name, spot in firmware.spots.items()
    }
    return Subject(firmware.device, firmware.schedule, memory, addresses, project)
