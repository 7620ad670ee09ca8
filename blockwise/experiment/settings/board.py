"""Which microcontroller."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from blockwise.system.sizes import check_size

MOST_KIB = 2**63 - 1


@dataclass(frozen=True)
class BoardSettings:
    """The microcontroller."""

    device: Annotated[str, arg(help="Board name (see --list-devices) or a profile, PATH.toml.")] = "stm32"

    reserve_kib: Annotated[
        int | None,
        arg(
            metavar="KIB",
            help="RAM kept free for stack and system.",
            help_behavior_hint="(default: the profile's, 8 in the built-in ones)",
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.reserve_kib is not None:
            check_size("--reserve-kib", self.reserve_kib, 0, MOST_KIB)
