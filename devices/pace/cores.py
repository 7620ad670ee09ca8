"""The cores whose instructions can be counted here, and how fast they run them."""

import re
from dataclasses import dataclass

from devices.boards.profile import Device


@dataclass(frozen=True)
class Pace:
    """How fast a core runs instructions, by a benchmark that both sides know.

    ``per_mhz`` are iterations of CoreMark per second and MHz, from ``source``; ``instructions`` those of one
    iteration, counted in unicorn (EEMBC's sources, GCC 12.2, -O3, this project's flags).
    """

    per_mhz: float
    instructions: int
    source: str

    @property
    def cycles_per_instruction(self) -> float:
        """On average over CoreMark: lists, matrices and a state machine, in memory without wait states."""
        return 1e6 / self.per_mhz / self.instructions

    @property
    def in_short(self) -> str:
        """What it is, and by whose figure."""
        return f"{self.cycles_per_instruction:.2f} cycles per instruction, as CoreMark takes ({self.source})"

    @property
    def rests_on(self) -> str:
        """In words."""
        return (
            f"{self.cycles_per_instruction:.2f} cycles per instruction, as CoreMark takes:"
            f" {self.per_mhz:g} iterations per second and MHz ({self.source}),"
            f" {self.instructions:,} instructions each; without wait states of flash or caches"
        )


_TABLE = "Ibrahim, ARM-Based Microcontroller Projects Using mbed, table 3.2"

PACES: dict[str, Pace] = {
    "Cortex-M0+": Pace(2.46, 387_553, "SAM D21 datasheet"),
    "Cortex-M3": Pace(3.32, 295_055, _TABLE),
    "Cortex-M4": Pace(3.40, 295_034, "NXP AN12284"),
    "Cortex-M7": Pace(5.01, 285_509, _TABLE),
    "Cortex-M33": Pace(4.02, 295_059, "NXP AN12284"),
}
"""Of the cores whose instructions can be counted here."""

_ARM = re.compile(r"(?:\d+x )?(Cortex-M\d+\+?)F?")


def arm_core(device: Device) -> str:
    """The Arm core that the board's profile names, without its options; of several alike, one; else ""."""
    found = _ARM.fullmatch(device.core)
    return found[1] if found else ""
