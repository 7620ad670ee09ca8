"""What a toolchain is: it makes an ELF file of a project's C sources, or says why not."""

import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from blockwise.system.exit_codes import FAILED
from devices.boards.profile import Device
from devices.errors import InputError

OVERFLOW = r"FLASH'?:? overflowed by (\d+) bytes"
"""What linkers say of a program that is too large: GNU's, and LLVM's."""

Target = Literal["check", "main"]
"""Which program of a project: the harness of the check, or the example of the engineer's own."""

BOARD_SCRIPT = "board.ld"
_OF_HOST = ("port_host.c", "port_flash_host.c")
_OTHERS = {
    "check": ("main.c", "flash_board.c", *_OF_HOST),
    "main": ("check.c", "port_semihosting.c", "port_flash.c", *_OF_HOST),
}


@dataclass(frozen=True)
class Built:
    """A program. Its stack never exceeds ``stack_bound`` bytes, by the compiler's proof; None without one."""

    elf: Path
    toolchain: str
    stack_bound: int | None = None


class Toolchain(Protocol):
    """Builds a program of a project for a board; two builds are the same byte for byte."""

    @property
    def name(self) -> str:
        """As the command line calls it."""

    def require(self, device: Device) -> None:
        """Raise InputError if the tools are missing or the board's core has no build."""

    def build(
        self, project: Path, device: Device, target: Target, elf: Path, script: str = BOARD_SCRIPT
    ) -> Built:
        """Compile the project's sources to ``elf``, laid out by its linker ``script``.

        Raises InputError if the tools are missing or the board's core has no build, BuildError if a
        source does not compile, or what it compiles to does not come out as planned.
        """


class BuildError(InputError):
    """A compiler or linker refused: the first line of what it said. A failure, not bad usage."""

    exit_code = FAILED

    def __init__(
        self, tool: str, said: str, wanted: str = "a program", do: str = "read its full output with make"
    ) -> None:
        self._parts = tool, said, wanted, do
        super().__init__(tool, got=said, wanted=wanted, do=do)

    def __reduce__(self) -> tuple[type["BuildError"], tuple[str, ...]]:
        """Pickled by its parts."""
        return BuildError, self._parts


def sources(project: Path, target: Target) -> tuple[str, ...]:
    """The C files of a program, in the order of their names: the order decides the layout."""
    return sources_among((path.name for path in project.glob("*.c")), target)


def sources_among(names: Iterable[str], target: Target) -> tuple[str, ...]:
    """Those of a program among a project's files."""
    return tuple(sorted(name for name in names if name.endswith(".c") and name not in _OTHERS[target]))


def call(tool: str, arguments: Sequence[str | Path], folder: Path) -> None:
    """Run a compiler in ``folder``: names in what it makes do not depend on where that is."""
    done = subprocess.run(
        [str(argument) for argument in arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        found = re.search(OVERFLOW, done.stderr)
        if found:
            raise BuildError(
                tool, f"code and constants that overflow the FLASH by {int(found[1]):,} bytes",
                "a program within the board's flash",
                "cut into fewer blocks, each of which passes all before it, or name a board with more",
            )  # fmt: skip
        raise BuildError(tool, _first_error(done.stderr))


def _first_error(said: str) -> str:
    """The first line with an error; GNU ld's own have no such word, and what collect2 adds tells nothing."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and "collect2" not in line]
    return next((line for line in lines if "error" in line), lines[-1] if lines else "no reason")
