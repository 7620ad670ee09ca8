"""The bytes that the plan gives to tensors, numbered through all arrays, for masks over them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from blockwise.firmware.arenas import MemoryMap, RamArray
from devices.program.schedule import Schedule

Mask = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class PlannedBytes:
    """``addresses`` are those of the tensors, which lie in the arrays of ``memory``."""

    schedule: Schedule
    memory: MemoryMap
    addresses: Mapping[str, int]

    @property
    def arrays(self) -> tuple[RamArray, ...]:
        """One for each run of RAM that holds tensors."""
        return self.memory.arrays

    @property
    def count(self) -> int:
        """Bytes of all arrays."""
        return sum(array.size_bytes for array in self.arrays)

    @cached_property
    def _firsts(self) -> Integers:
        """The number of the first byte of each array."""
        return np.cumsum([0, *(array.size_bytes for array in self.arrays)])[:-1]

    def numbers(self, addresses: Integers) -> Integers:
        """Of each address its byte's number, -1 outside of the arrays."""
        found = np.full(len(addresses), -1, np.int64)
        for array, first in zip(self.arrays, self._firsts, strict=True):
            inside = (addresses >= array.start) & (addresses < array.end)
            found[inside] = addresses[inside] - array.start + first
        return found

    def beside(self, addresses: Integers) -> Integers:
        """The addresses that are neither in an array nor in the reserve, but in the board's RAM."""
        outside = addresses[self.numbers(addresses) < 0]
        in_ram = np.zeros(len(outside), np.bool_)
        for run in self.memory.runs:
            in_ram |= (outside >= run.start) & (outside < run.end)
        reserve = self.memory.reserve
        return outside[in_ram & ~((outside >= reserve.start) & (outside < reserve.end))]

    def address(self, number: int) -> int:
        """Of a byte."""
        index = int(np.searchsorted(self._firsts, number, side="right")) - 1
        return self.arrays[index].start + number - int(self._firsts[index])

    def span(self, name: str) -> slice:
        """The bytes of a tensor, without what it is rounded up by."""
        size = self.schedule.tensors[name].bytes
        start = int(self.numbers(np.array([self.addresses[name]]))[0])
        return slice(start, start + size) if size else slice(0, 0)

    def mask(self, names: Iterable[str]) -> Mask:
        """The bytes of these tensors, without those that lie in flash."""
        found = np.zeros(self.count, np.bool_)
        for name in names:
            if not self.schedule.tensors[name].mapped:
                found[self.span(name)] = True
        return found

    def alive(self, operation: int) -> tuple[str, ...]:
        """The tensors that the plan keeps at an operation."""
        lifetimes = self.schedule.lifetimes.items()
        return tuple(name for name, (first, last) in lifetimes if first <= operation <= last)

    def told(self, number: int, operation: int) -> str:
        """What a byte is at an operation, in words."""
        address = self.address(number)
        for name in self.alive(operation):
            if self.span(name).start <= number < self.span(name).stop:
                return f"byte {number - self.span(name).start} of {name} ({address:#010x})"
        return self.told_beside(address, operation)

    def told_beside(self, address: int, operation: int) -> str:
        """What an address is that no tensor has at an operation: how far behind one that then lives."""
        ends = {self.addresses[n] + self.schedule.tensors[n].bytes: n for n in self.alive(operation)}
        before = [end for end in ends if end <= address]
        if not before:
            return f"the byte at {address:#010x}, of no tensor then"
        return f"{address - max(before) + 1} byte(s) behind {ends[max(before)]} ({address:#010x})"
