"""The allocator of the GNU C library, which PyTorch takes its maps from on Linux."""

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # the names of these in mallopt(3)
NEVER = 2**31 - 1
LARGEST = 2**30, 2**25
"""Bytes up to which blocks come from the heap: older versions of the library take the second alone."""
GROWN = {MMAP_THRESHOLD: 2**25, TRIM_THRESHOLD: 2**26}
"""What the thresholds of a process grow to by themselves, once it has freed large blocks."""
OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")
"""Variables by which users set them; then they stay as they are."""


@contextmanager
def keeping_freed_memory() -> Iterator[None]:
    """Inside, memory that is freed stays with the process; at the end it is given back.

    Every step of a training takes and frees the same maps. By default the library gives large ones back to
    the system, which fills each page with zeros before it hands it out again: up to a fifth of a step.
    """
    library = _library()
    if library is None:
        yield
        return
    _ = library.mallopt(MMAP_THRESHOLD, LARGEST[0]) or library.mallopt(MMAP_THRESHOLD, LARGEST[1])
    library.mallopt(TRIM_THRESHOLD, NEVER)
    try:
        yield
    finally:
        for name, value in GROWN.items():
            library.mallopt(name, value)
        library.malloc_trim(0)


def _library() -> ctypes.CDLL | None:
    """The GNU C library; None where there is another one, or somebody has set it."""
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in OWN):
        return None
    return ctypes.CDLL(None)
