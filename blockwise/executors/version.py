"""Which code a worker runs: records of one study must come from one."""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

import blockwise

PACKAGES = ("blockwise", "devices")


@dataclass(frozen=True)
class Version:
    """Of all that decides what a training ends with, but the processor."""

    blockwise: str
    code: str  # a digest of the packages' sources
    torch: str

    @classmethod
    def here(cls) -> "Version":
        """As they lie on the disk of this computer."""
        folders = [Path(place) for name in PACKAGES for place in _places(name)]
        return cls(blockwise.__version__, digest(folders), str(torch.__version__))

    def __str__(self) -> str:
        return f"Blockwise {self.blockwise} (sources {self.code}) on PyTorch {self.torch}"


def _places(package: str) -> list[str]:
    spec = find_spec(package)
    return list(spec.submodule_search_locations or ()) if spec else []


def digest(folders: list[Path]) -> str:
    """Of the names and the bytes of all Python files in ``folders``, eight hex digits."""
    found = hashlib.blake2b(digest_size=4)
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            name, text = path.relative_to(folder).as_posix().encode(), path.read_bytes()
            found.update(b"%d %s %d " % (len(name), name, len(text)) + text)
    return found.hexdigest()
