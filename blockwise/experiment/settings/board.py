"""Which microcontroller, and which beside it."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Fixed, Suppress, arg

from blockwise.system.sizes import check_size

MOST_KIB = 2**63 - 1


@dataclass(frozen=True)
class BoardSettings:
    """The microcontroller."""

    device: Annotated[
        str,
        arg(
            metavar="NAME|PATH.toml ...",
            help="Board (see --list-devices) or a profile. The default command trains for the first and "
            "plans the same network for the others.",
        ),
    ] = "stm32"

    reserve_kib: Annotated[
        int | None,
        arg(
            metavar="KIB",
            help="RAM kept free for stack and system.",
            help_behavior_hint="(default: the profile's, 8 in the built-in ones)",
        ),
    ] = None
    other_devices: Annotated[tuple[str, ...], Fixed, Suppress] = ()
    """For which the same network is planned beside it: further names behind ``--device``."""

    def __post_init__(self) -> None:
        if self.reserve_kib is not None:
            check_size("--reserve-kib", self.reserve_kib, 0, MOST_KIB)
