"""From a plan to C that performs its step on the board, each tensor at its planned address."""

from blockwise.firmware.emit.project import project
from blockwise.firmware.program import Firmware

__all__ = ["Firmware", "project"]
