"""Where a firmware's tensors, its program and its slots lie on its board."""

from dataclasses import replace

from blockwise.firmware.arenas import MemoryMap, memory_map
from blockwise.firmware.program import Firmware
from blockwise.firmware.slots import parted, slots_of
from devices.errors import InputError


def memory_of(firmware: Firmware) -> MemoryMap:
    """The board's memory. Raises InputError for no board, and for one without room for the slots."""
    device = firmware.device
    if device is None:
        raise InputError("firmware", got="no board", wanted="one to lie on", do="name a board")
    memory = memory_map(device, {stretch.name: stretch.height for stretch in firmware.stretches})
    slots = slots_of(firmware)
    if slots is None:
        return memory
    origin = device.flash.start if device.flash else None
    assert origin is not None  # or there would be no memory map
    flash, span = parted(memory.flash, origin, slots, device.name)
    return replace(memory, flash=flash, slots=span)
