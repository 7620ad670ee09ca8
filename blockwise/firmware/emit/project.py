"""Writes a project: generated files, and the C that is copied as it stands."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

from blockwise.firmware.emit import header, linker, makefile, persist, readme, step, weights
from blockwise.firmware.emit.dialect import Dialect, dialect_of
from blockwise.firmware.emit.folder import check_folder, write_folder
from blockwise.firmware.memory import memory_of
from blockwise.firmware.program import Firmware
from blockwise.firmware.toolchains.toolchain import BOARD_SCRIPT

C = Path(__file__).parents[1] / "c"
"""The C that is part of every project that needs it."""

Writer = Callable[[Firmware, Dialect], str]
GENERATED: dict[str, Writer] = {
    "blockwise.h": header.text,
    "step.c": step.text,
    "README.md": readme.text,
}
"""File of a project -> what writes it."""

COPIED: dict[str, str] = {
    "main.c": "main.c",
    "check.c": "check.c",
    "port.h": "port/port.h",
    "port_host.c": "port/host.c",
}
"""File of a project -> where it stands under ``c``."""

OF_BOARD: dict[str, str] = {
    "start.c": "board/start.c",
    "start.h": "board/start.h",
    "port_semihosting.c": "port/semihosting.c",
    "semihosting.h": "port/semihosting.h",
}
"""The same of what only a board needs."""

KERNELS = "kernels"

_INCLUDED = re.compile(r'^#include "([^"]+)"', re.MULTILINE)


def project(firmware: Firmware, out: Path) -> Mapping[str, str]:
    """Write the whole project to the folder ``out``, or nothing at all; returns its files by path.

    A project that is there already is replaced. Raises InputError where the folder holds something else.
    """
    check_folder(out)
    content = files(firmware)
    write_folder(out, content)
    return content


def files(firmware: Firmware) -> Mapping[str, str]:
    """The text of every file of the project by its path."""
    dialect = dialect_of(firmware)
    found = {name: write(firmware, dialect) for name, write in GENERATED.items()}
    copied, of_board, more = _copied(firmware)
    if firmware.given is not None:
        found |= {"weights.c": weights.source(firmware)}
    found |= {name: text_of(path) for name, path in copied.items()}
    if firmware.device is not None:
        found |= {name: text_of(path) for name, path in of_board.items()}
        found[BOARD_SCRIPT] = linker.script(memory_of(firmware))
    found |= dialect.sources
    found["Makefile"] = makefile.text(firmware, dialect, found)
    headers = closure((*dialect.headers, *more))
    return found | {f"{KERNELS}/{path}": text_of(path) for path in headers}


def _copied(firmware: Firmware) -> tuple[Mapping[str, str], Mapping[str, str], tuple[str, ...]]:
    """What is copied, what of a board, and headers; more where the firmware saves."""
    if not firmware.save_every:
        return COPIED, OF_BOARD, ()
    return {**COPIED, **persist.COPIED}, {**OF_BOARD, **persist.OF_BOARD}, persist.HEADERS


def closure(headers: Iterable[str]) -> list[str]:
    """The headers, as paths under ``c``, and all that these include."""
    found: list[str] = []
    waiting = list(headers)
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.append(path)
        waiting.extend(_included(path))
    return sorted(found)


@cache
def _included(path: str) -> tuple[str, ...]:
    """The headers that one of them includes itself."""
    folder, root = (C / path).parent.resolve(), C.resolve()
    names = _INCLUDED.findall(text_of(path))
    return tuple(Path(os.path.normpath(folder / name)).relative_to(root).as_posix() for name in names)


@cache
def text_of(path: str) -> str:
    """Of a file under ``c``; every project has the same."""
    return (C / path).read_text("utf-8")
