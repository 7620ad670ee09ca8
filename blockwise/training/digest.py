"""A checksum of weights, by which runs are compared bit for bit, also with other implementations."""

from collections.abc import Iterable
from pathlib import Path
from zlib import crc32

from torch import Tensor

from blockwise.system.files import atomic_write, reason
from devices.errors import InputError


def digest(weights: Iterable[Tensor]) -> str:
    """CRC-32 (IEEE 802.3) of all values in order, row-major and little-endian, as eight hex digits."""
    found = 0
    for weight in weights:
        found = crc32(weight.detach().cpu().contiguous().numpy().tobytes(), found)
    return f"{found:08x}"


class StepLog:
    """One line a step in a file: its number, from 1, and the digest of the weights after it.

    Lines are written when a checkpoint is; those behind the last checkpoint are dropped on resuming.
    """

    def __init__(self, path: Path, kept: int) -> None:
        lines = _read(path) if kept else []
        if len(lines) < kept:
            raise InputError(
                f"digests {path}", got=f"{len(lines)} lines", wanted=f"those of {kept} steps so far",
                do="restore the file, or start over",
            )  # fmt: skip
        self._path, self._lines = path, lines[:kept]

    def add(self, weights: Iterable[Tensor]) -> None:
        """After a step."""
        self._lines.append(f"{len(self._lines) + 1} {digest(weights)}")

    def write(self) -> int:
        """Replace the file; returns how many lines it has."""
        atomic_write(self._path, "".join(f"{line}\n" for line in self._lines))
        return len(self._lines)


def _read(path: Path) -> list[str]:
    try:
        return path.read_text("ascii").splitlines()
    except (OSError, ValueError) as error:
        got = reason(error) if isinstance(error, OSError) else "bytes that are not ASCII"
        raise InputError(
            f"digests {path}", got=got, wanted="those of the run so far", do="restore the file, or start over"
        ) from error
