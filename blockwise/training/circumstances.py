"""What the bits of a training hang on beside its configuration: kept in its checkpoint, told on resuming.

Sums are split among the threads and rounded part by part; PyTorch's version and the instructions of the
processor decide how each part is summed.
"""

import contextlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from blockwise.training import checkpoint

NAMES = {"torch": "PyTorch", "instructions": "a processor with", "accelerator": "accelerator"}


@dataclass(frozen=True)
class Circumstances:
    """Of one process."""

    threads: int
    torch: str
    instructions: str  # the widest vector instructions in use, as AVX2
    accelerator: str  # its model, empty without one

    @classmethod
    def now(cls) -> "Circumstances":
        """Of this one."""
        accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
        version, instructions = str(torch.__version__), torch.backends.cpu.get_cpu_capability()
        return cls(torch.get_num_threads(), version, instructions, accelerator)


def kept(path: Path) -> Circumstances | None:
    """Those in which the checkpoint at ``path`` was written; None if there is none or it cannot be read."""
    with contextlib.suppress(Exception):  # what is wrong with it is told when it is resumed
        state = checkpoint.load(path, None) or {}
        return Circumstances(**state["circumstances"])
    return None


@contextlib.contextmanager
def as_begun(paths: Iterable[Path]) -> Iterator[None]:
    """Go on as the first of the checkpoints at ``paths`` was begun, on as many threads.

    What is then otherwise, and cannot be helped, is told in one line on stderr.
    """
    begun, now = next(filter(None, map(kept, paths)), None), Circumstances.now()
    if begun is None or begun == now:
        yield
        return
    print(f"blockwise: {_told(begun, now)}", file=sys.stderr)
    torch.set_num_threads(begun.threads)
    try:
        yield
    finally:
        torch.set_num_threads(now.threads)


def _told(begun: Circumstances, now: Circumstances) -> str:
    parts = []
    if begun.threads != now.threads:
        parts.append(
            f"goes on with {_threads(begun.threads)}, as the run began, not with {now.threads}, "
            "on which its weights would depend"
        )
    changed = [name for name in NAMES if getattr(begun, name) != getattr(now, name)]
    if changed:
        old, new = (", ".join(f"{NAMES[n]} {getattr(c, n) or 'none'}" for n in changed) for c in (begun, now))
        parts.append(
            f"the run began with {old}, not {new}: its weights may differ from an uninterrupted run's"
        )
    return "; ".join(parts)


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"
