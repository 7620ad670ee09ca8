"""The host's side of Arm semihosting: files in one folder, and the end of the program.

Source: Arm, "Semihosting for AArch32 and AArch64" (the operations and their parameter blocks).
"""

import struct
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from blockwise.firmware.emulators.nor_flash import NorFlash

SYS_OPEN, SYS_CLOSE, SYS_WRITE, SYS_READ, SYS_FLEN = 0x01, 0x02, 0x05, 0x06, 0x0C
SYS_EXIT, SYS_EXIT_EXTENDED = 0x18, 0x20
FLASH_ERASE, FLASH_PROGRAM, FLASH_BUSY = 0x100, 0x101, 0x102  # from 0x100 on numbers are an application's
APPLICATION_EXIT = 0x20026
FAILED = 0xFFFF_FFFF
_MODES = ("rb", "rb", "r+b", "r+b", "wb", "wb", "w+b", "w+b", "ab", "ab", "a+b", "a+b")

Read = Callable[[int, int], bytes]
Write = Callable[[int, bytes], None]


class Host:
    """Serves a program's calls. ``exit_code`` is None until it asks to end."""

    def __init__(self, folder: Path, read: Read, write: Write, flash: NorFlash | None = None) -> None:
        self._folder, self._read, self._write, self._flash = folder, read, write, flash
        self._files: dict[int, BinaryIO] = {}
        self.exit_code: int | None = None

    def __enter__(self) -> "Host":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()

    def call(self, operation: int, block: int) -> int:
        """Perform one operation; the result goes to r0."""
        if operation == SYS_OPEN:
            return self._open(*self._words(block, 3))
        if operation in (SYS_WRITE, SYS_READ):
            handle, address, size = self._words(block, 3)
            file = self._files.get(handle)
            if file is None:
                return size
            return (self._stored if operation == SYS_WRITE else self._loaded)(file, address, size)
        if operation == SYS_CLOSE:
            file = self._files.pop(self._words(block, 1)[0], None)
            if file is not None:
                file.close()
            return 0 if file is not None else FAILED
        if operation == SYS_FLEN:
            return self._length(self._words(block, 1)[0])
        if operation >= FLASH_ERASE and self._flash is not None:
            return self._of_flash(self._flash, operation, block)
        if operation in (SYS_EXIT, SYS_EXIT_EXTENDED):
            self.exit_code = self._ended(operation, block)
            return 0
        return FAILED

    def _of_flash(self, flash: NorFlash, operation: int, block: int) -> int:
        """0 where an operation has begun, or nothing runs any more."""
        if operation == FLASH_ERASE:
            return int(not flash.erase(*self._words(block, 1)))
        if operation == FLASH_PROGRAM:
            address, unit, size = self._words(block, 3)
            return int(not flash.program(address, self._read(unit, size)))
        piece = flash.go_on() if operation == FLASH_BUSY else None
        if piece is not None:
            self._write(*piece)
        return int(flash.running is not None)

    def _words(self, address: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}I", self._read(address, 4 * count))

    def _open(self, name: int, mode: int, length: int) -> int:
        path = self._folder / Path(self._read(name, length).decode("utf-8", "replace")).name
        try:
            file: BinaryIO = path.open(_MODES[mode])  # type: ignore[assignment]  # each mode is binary
        except (OSError, IndexError):
            return FAILED
        handle = max(self._files, default=0) + 1
        self._files[handle] = file
        return handle

    def _stored(self, file: BinaryIO, address: int, size: int) -> int:
        file.write(self._read(address, size))
        return 0

    def _loaded(self, file: BinaryIO, address: int, size: int) -> int:
        """How many bytes were not there."""
        found = file.read(size)
        if found:
            self._write(address, found)
        return size - len(found)

    def _length(self, handle: int) -> int:
        file = self._files.get(handle)
        if file is None:
            return FAILED
        here = file.tell()
        length = file.seek(0, 2)
        file.seek(here)
        return length

    def _ended(self, operation: int, block: int) -> int:
        reason, code = (block, 0) if operation == SYS_EXIT else self._words(block, 2)
        return code if reason == APPLICATION_EXIT else 1
