"""Python's collector of garbage in cycles."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = (50_000, 20, 100)
"""Allocations before a look at the youngest objects, and looks before one at older ones."""


@contextmanager
def looking_seldom() -> Iterator[None]:
    """Look for cycles seldom inside.

    Imports and plans allocate hundreds of thousands of objects and leave hardly a cycle: to look for them
    after every 700, as Python does by default, takes longer than much of the work.
    """
    before = gc.get_threshold()
    gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def leaving_what_is_there() -> Iterator[None]:
    """Do not look inside at what there is before, as at what was imported: it stays."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
