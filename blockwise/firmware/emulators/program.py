"""An ELF file as an emulator needs it: what to load where, and which function an address belongs to."""

import importlib.util
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blockwise.firmware.emulators import thumb
from devices.errors import InputError

STEP = "blockwise_step"
_OPERATION = re.compile(r"operation_(\d+)(\.|$)")

BETWEEN, ELSEWHERE = -1, -2
"""In the step, but in none of its operations; in a function that any operation may call."""


@dataclass(frozen=True)
class Function:
    """Code of one name, ``start`` without the Thumb bit."""

    name: str
    start: int
    end: int

    @cached_property
    def operation(self) -> int | None:
        """The number of the operation that it performs."""
        found = _OPERATION.match(self.name)
        return int(found[1]) if found else None


@dataclass(frozen=True)
class Program:
    """``segments`` are addresses with their bytes; ``symbols`` all names with their values."""

    segments: tuple[tuple[int, bytes], ...]
    sections: dict[str, tuple[int, int]]  # address and bytes, of those that take memory
    symbols: dict[str, int]
    functions: tuple[Function, ...]  # by address

    def function_at(self, address: int) -> Function | None:
        """The function that holds an address."""
        index = bisect_right([function.start for function in self.functions], address) - 1
        if index >= 0 and address < self.functions[index].end:
            return self.functions[index]
        return None

    @property
    def step(self) -> Function | None:
        """The step; None in a program that trains nothing."""
        return next((function for function in self.functions if function.name == STEP), None)

    def behind_conditional_accesses(self) -> Iterator[int]:
        """The addresses of instructions behind IT blocks with a load or a store."""
        for function in self.functions:
            for start, content in self.segments:
                code = (
                    content[function.start - start : function.end - start] if start <= function.start else b""
                )
                yield from (function.start + at for at in thumb.behind_conditional_accesses(code))

    def kinds(self, addresses: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of each address the number of the operation whose function holds it, or one of the above."""
        starts = np.array([function.start for function in self.functions], np.int64)
        ends = np.array([function.end for function in self.functions], np.int64)
        kinds = np.array([_kind(function) for function in self.functions], np.int64)
        index = np.searchsorted(starts, addresses, side="right") - 1
        inside = (index >= 0) & (addresses < ends[index])
        return np.where(inside, kinds[index], ELSEWHERE)


def _kind(function: Function) -> int:
    if function.operation is not None:
        return function.operation
    return BETWEEN if function.name == STEP else ELSEWHERE


def check_reader() -> None:
    """Raise InputError unless ELF files can be read."""
    if importlib.util.find_spec("elftools") is None:
        raise InputError(
            "--check", got="no pyelftools", wanted="what reads programs",
            do="install it: uv sync --extra firmware, or pip install pyelftools",
        )  # fmt: skip


def program_of(elf: Path) -> Program:
    """Read an ELF file."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as file:
        read = ELFFile(file)
        loaded = [segment for segment in read.iter_segments("PT_LOAD") if segment["p_filesz"]]
        segments = tuple((segment["p_paddr"], segment.data()) for segment in loaded)
        sections = {s.name: (s["sh_addr"], s["sh_size"]) for s in read.iter_sections() if s["sh_flags"] & 2}
        table = list(read.get_section_by_name(".symtab").iter_symbols())
    symbols = {symbol.name: symbol["st_value"] for symbol in table if symbol.name}
    functions = [
        Function(symbol.name, symbol["st_value"] & ~1, (symbol["st_value"] & ~1) + symbol["st_size"])
        for symbol in table
        if symbol["st_info"]["type"] == "STT_FUNC"
    ]
    return Program(segments, sections, symbols, tuple(sorted(functions, key=lambda f: (f.start, f.end))))
